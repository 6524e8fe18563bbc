"""From a load report, and from what a gateway says of itself, to a plan: pure."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from gateway.profile.profile import Profile
from gateway.profile.units import format_size
from gateway.watch.capacity.model import Instances, Measured, Plan, Seen, Target, TierPlan
from gateway.watch.capacity.tiers import missed, tier_guesses, tier_plan
from gateway.watch.capacity.upstreams import change_of, upstream_guesses, upstream_plans
from gateway.watch.diagnosis.cache_rules import PROCESS
from gateway.watch.diagnosis.changes import Change, change, differing, merged, thresholds

_LIKE = 0.1
"""Of all requests: a mix that differs by no more costs about the same."""
_WELL = 0.99
"""Of the requests of a load test: with fewer that were answered, its rate is not one to plan with."""
_YOUNG = 600.0
"""Seconds since the start within which a cold cache still weighs in the hit rates."""


def plan(profile: Profile, target: Target, measured: Measured, seen: Seen | None) -> Plan:
    """What `target` takes. Without `seen` only the number of instances is known."""
    instances = instances_of(target, measured)
    guesses = list(_load_guesses(target, measured))
    if seen is None:
        guesses.append("no gateway was asked: how much cache and what of the upstreams it takes is unknown")
        return Plan(instances, guesses=tuple(guesses))
    tiers = {name: made for name, tier in seen.tiers.items() if (made := tier_plan(name, tier)) is not None}
    lost = missed(seen.tiers, tiers)
    upstreams = {each.upstream: each for each in upstream_plans(profile, target, seen, lost, instances)}
    for name, tier in seen.tiers.items():
        guesses += tier_guesses(name, tier)
    if seen.uptime < _YOUNG:
        guesses.append(f"the gateway has run for {seen.uptime:.0f} s: its hit rates are still those of a cold cache")
    guesses += upstream_guesses(profile, target, seen, upstreams)
    written = merged(
        [*(_size(profile, each) for each in tiers.values()), change_of(profile, upstreams, instances, target.headroom)]
    )
    return Plan(
        instances,
        tuple(tiers.values()),
        tuple(upstreams.values()),
        differing(written, profile),
        tuple(guesses),
        None if lost is None else lost.arithmetic,
    )


def instances_of(target: Target, measured: Measured) -> Instances:
    """How many processes: each carries what one did, less the headroom."""
    each = measured.rps * (1 - target.headroom)
    needed = max(1, ceil(target.rps / each - 1e-9))
    arithmetic = (
        f"{measured.rps:.4g}/s of one process (p99 {_seconds(measured.p99)}) x (1 - {target.headroom:g}) = "
        f"{each:.4g}/s; {target.rps:g} / {each:.4g} = {target.rps / each:.3g}, so {needed}, and {target.spare} to spare"
    )
    return Instances(needed, target.spare, each, arithmetic)


def _seconds(value: float) -> str:
    return f"{value:.3g} s" if value >= 1 else f"{value * 1000:.3g} ms"


def _size(profile: Profile, tier: TierPlan) -> Change:
    """The size of a tier, with what goes with it: entries, and memory for the process."""
    if tier.size == tier.now:
        return {}
    each = tier.size // profile.server.workers  # what was seen is of all workers, and the profile's line of each
    parts = [change(format_size(each), "cache", tier.tier, "max_size")]
    if tier.tier == "memory":
        now = profile.cache.memory
        parts.append(change(max(1, round(now.max_items * each / max(1, now.max_size))), "cache", "memory", "max_items"))
        if tier.size > tier.now:
            parts.append(thresholds(profile, each + PROCESS))
    return merged(parts)


def _load_guesses(target: Target, measured: Measured) -> Iterator[str]:
    if measured.success_rate < _WELL:
        yield f"only {measured.success_rate:.1%} of the load test's requests were answered: it says little of a process"
    if measured.cut_short:
        yield "the load test was cut short"
    if measured.open_loop:
        yield f"the load test asked at a given rate, so one process may do more than {measured.rps:.4g}/s"
    apart = sum(abs(share - measured.shares.get(name, 0.0)) for name, share in target.shares.items())
    apart += sum(share for name, share in measured.shares.items() if name not in target.shares)
    if apart / 2 > _LIKE:
        yield f"the load test asked another mix ({_mix(measured)}): {apart / 2:.0%} of it was for other tools"


def _mix(measured: Measured) -> str:
    return ", ".join(f"{name} {share:.0%}" for name, share in measured.shares.items()) or "nothing"
