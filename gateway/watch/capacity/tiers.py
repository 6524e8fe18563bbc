"""How large tiers should be, and what they leave for upstreams."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gateway.profile.units import format_size
from gateway.tiers.curve import Curve, CurvePoint
from gateway.watch.capacity.model import TierPlan, TierSeen

CLOSE = 0.01
"""Points of hit rate that a smaller size may lack against the best one."""
ENOUGH = 1000
"""Reads below which a curve says nothing of other sizes; as many as there are entries at least."""


@dataclass(frozen=True, slots=True)
class Missed:
    """The part of the reads that every tier misses."""

    now: float
    planned: float
    arithmetic: str


def smallest(curve: Curve) -> CurvePoint:
    """The smallest size whose hit rate is within a point of the best that was looked at."""
    best = max(point.hit_rate for point in curve.points)
    return next(point for point in curve.points if point.hit_rate >= best - CLOSE)


def tier_plan(name: str, seen: TierSeen) -> TierPlan | None:
    """How large the tier should be; None where nothing is known of other sizes."""
    if seen.curve is None or not seen.curve.points or seen.curve.accesses < _enough(seen):
        return None
    chosen = smallest(seen.curve)
    best = max(seen.curve.points, key=lambda point: (point.hit_rate, -point.size_bytes))
    arithmetic = (
        f"{chosen.hit_rate:.1%} at {format_size(chosen.size_bytes)} is within {CLOSE:.0%} of the best, "
        f"{best.hit_rate:.1%} at {format_size(best.size_bytes)}"
    )
    return TierPlan(name, chosen.size_bytes, chosen.hit_rate, seen.size, arithmetic)


def missed(tiers: Mapping[str, TierSeen], plans: Mapping[str, TierPlan]) -> Missed | None:
    """What of the reads no tier has: now, and with tiers of the planned sizes. None where nothing was read.

    The disk tier is asked for what the memory tier misses, and holds that tier's entries as well: a larger memory tier
    takes hits from the disk, not from upstreams. So the disk's misses count against the memory tier's present ones.
    """
    memory, disk = tiers.get("memory"), tiers.get("disk")
    first = None if memory is None else memory.hit_rate
    second = None if disk is None else disk.hit_rate
    if first is None and second is None:
        return None
    rates = [rate for rate in (first, second) if rate is not None]
    now = _product(rates)
    planned_rates = [
        plans[name].hit_rate if name in plans else rate
        for name, rate in (("memory", first), ("disk", second))
        if rate is not None
    ]
    if first is not None and second is not None:
        planned = min(1 - planned_rates[0], (1 - first) * (1 - planned_rates[1]))
        sizes = f"the lesser of 1 - {planned_rates[0]:.3f} and (1 - {first:.3f}) x (1 - {planned_rates[1]:.3f})"
    else:
        planned = _product(planned_rates)
        sizes = " x ".join(f"(1 - {rate:.3f})" for rate in planned_rates)
    measured = " x ".join(f"(1 - {rate:.3f})" for rate in rates)
    return Missed(now, planned, f"missed now: {measured} = {now:.4f}; as planned: {sizes} = {planned:.4f}")


def tier_guesses(name: str, seen: TierSeen) -> Iterator[str]:
    """What of a tier's plan was not measured."""
    curve = seen.curve
    stays = f"it stays at {format_size(seen.size)}, and what another size would do is unknown"
    if curve is None or not curve.points:
        yield f"the {name} tier has no curve: {stays}"
        return
    if curve.accesses < _enough(seen):
        yield f"the {name} tier's curve rests on {curve.accesses} reads of the {_enough(seen)} that it takes: {stays}"
        return
    last, before = curve.points[-1], curve.points[-2] if len(curve.points) > 1 else curve.points[-1]
    if last.hit_rate - before.hit_rate > CLOSE:
        yield (
            f"the {name} tier's curve still rises at {format_size(last.size_bytes)}, where it ends: a larger tier may "
            "do better, and nothing here says how much"
        )


def _enough(seen: TierSeen) -> int:
    return max(ENOUGH, seen.entries)


def _product(rates: list[float]) -> float:
    left = 1.0
    for rate in rates:
        left *= 1 - rate
    return left
