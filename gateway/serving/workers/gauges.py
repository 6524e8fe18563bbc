"""What is looked at, of several workers as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

import trio

from gateway.serving.workers.numbers import Numbers
from gateway.tiers.curve import Curve, CurvePoint
from gateway.watch.gauges import Gauges, ThreadState, TierState, UpstreamState

T = TypeVar("T", TierState, UpstreamState)


class FleetGauges(Gauges):
    """The sum of what `numbers` gives; the processor time, memory and descriptors of the supervisor count as well."""

    def __init__(self, numbers: Callable[[], list[Numbers]], retired: Callable[[], Numbers]) -> None:
        super().__init__(None, None, [], {})
        self._numbers = numbers
        self._retired = retired

    def tiers(self) -> dict[str, TierState]:
        """Every tier, of all workers together."""
        return _summed(TierState, (each.tiers for each in self._numbers()))

    def upstreams(self) -> dict[str, UpstreamState]:
        """Every upstream, as all workers ask it."""
        return _summed(UpstreamState, (each.upstreams for each in self._numbers()))

    def curves(self) -> dict[str, Curve]:
        """The curves of all, each weighing as much as it rests on."""
        found: dict[str, list[Curve]] = {}
        for each in self._numbers():
            for tier, curve in each.curves.items():
                found.setdefault(tier, []).append(curve)
        return {tier: _mean(curves) for tier, curves in found.items()}

    def shared_down(self) -> float | None:
        """Seconds for which the engine has been out of reach of the worker that misses it the longest."""
        return max((each.shared_down for each in self._numbers() if each.shared_down is not None), default=None)

    def threads(self) -> ThreadState:
        """The worker threads of all workers."""
        states = [each.threads for each in self._numbers()]
        busy, limit, waiting = (sum(getattr(each, name) for each in states) for name in ("busy", "limit", "waiting"))
        return ThreadState(busy, limit, waiting)

    def resident(self) -> int:
        """Bytes in memory, of all processes."""
        return super().resident() + sum(each.resident for each in self._numbers())

    def descriptors(self) -> tuple[int, int]:
        """Of the process that is nearest to its limit."""
        every = [super().descriptors(), *(each.descriptors for each in self._numbers())]
        return max(every, key=lambda pair: pair[0] / max(1, pair[1]))

    def cpu_seconds(self) -> float:
        """Processor time of all, those that are no more among them."""
        return super().cpu_seconds() + self._retired().cpu + sum(each.cpu for each in self._numbers())

    async def disk_free(self) -> int | None:
        """Bytes that are free where the disk tiers' files lie."""
        await trio.lowlevel.checkpoint()
        return min((each.disk_free for each in self._numbers() if each.disk_free is not None), default=None)


def _summed(kind: Callable[..., T], parts: Iterable[Mapping[str, T]]) -> dict[str, T]:
    grouped: dict[str, list[T]] = {}
    for part in parts:
        for name, state in part.items():
            grouped.setdefault(name, []).append(state)
    return {name: kind(**_sum_of(states)) for name, states in grouped.items()}


def _sum_of(states: list[Any]) -> dict[str, Any]:
    values = {each.name: [getattr(state, each.name) for state in states] for each in fields(states[0])}
    return {name: _together(found) for name, found in values.items()}


def _together(found: list[Any]) -> Any:
    match found[0]:
        case bool():
            return any(found)
        case float():  # a time: that of the slowest
            return max(found)
        case _:
            return sum(found)


def _mean(curves: list[Curve]) -> Curve:
    accesses = sum(curve.accesses for curve in curves)
    points = []
    for same in zip(*(curve.points for curve in curves), strict=False):
        weights = [curve.accesses for curve in curves] if accesses else [1] * len(curves)
        rate = sum(point.hit_rate * weight for point, weight in zip(same, weights, strict=True)) / sum(weights)
        points.append(CurvePoint(same[0].factor, sum(point.size_bytes for point in same), rate))
    sampled, watched = (min(getattr(curve, name) for curve in curves) for name in ("sampled", "watched"))
    return Curve(tuple(points), accesses, sampled, watched)
