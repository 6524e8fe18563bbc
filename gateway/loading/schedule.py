"""When requests are due and connections begin. Pure arithmetic, in seconds from the start of a run.

A closed loop asks again when it was answered: while a server stalls it does not ask, and what would have been slow is
never measured. Gil Tene calls that coordinated omission ("How NOT to Measure Latency", 2013; his wrk2 corrects it). An
open loop's requests are due at times that the server has no part in, and their latency counts from then.
"""

from __future__ import annotations

import math


def starts(connections: int, ramp: float) -> list[float]:
    """When each connection of a closed loop begins: evenly over the ramp."""
    return [number * ramp / connections for number in range(connections)]


def due(number: int, rate: float, ramp: float) -> float:
    """When the request `number` (from 0) of an open loop is due.

    The rate rises evenly from 0 to `rate` within `ramp`: after t seconds of it, rate * t**2 / (2 * ramp) were due.
    """
    within = rate * ramp / 2
    if number < within:
        return math.sqrt(2 * ramp * number / rate)
    return ramp + (number - within) / rate
