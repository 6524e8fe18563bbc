"""The yardstick: a fixed piece of work for the processor alone, which every cost is also told in."""

from __future__ import annotations

import hashlib
from time import perf_counter

_ROUNDS = 4
_WORDS = tuple(f"argument-{number}" for number in range(16))
_BLOCK = bytes(range(256)) * 2

CALIBRATION = 1
"""Raised whenever the work of an iteration changes, since ratios to another loop can't be compared."""


def calibration_work() -> int:
    """One iteration, some 10 us: what the gateway's own Python does on a hit, which is dicts, bytes and a hash."""
    total = 0
    for number in range(_ROUNDS):
        table = dict.fromkeys(_WORDS, number)
        table["last"] = len(table)
        joined = b"%d:%b" % (number, _BLOCK)
        total += sum(table.values()) + hashlib.blake2b(joined, digest_size=16).digest()[0]
    return total


def calibrate(iterations: int) -> list[float]:
    """The seconds that each of so many iterations took."""
    costs = []
    for _ in range(iterations):
        began = perf_counter()
        calibration_work()
        costs.append(perf_counter() - began)
    return costs
