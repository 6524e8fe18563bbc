"""How loaded each limit is, from the samples of a window and the parts themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.profile.profile import Profile
from gateway.telemetry.series import Window
from gateway.watch.scaling.levers import DiskLever, Lever, MemoryLever, PoolLever, ThreadsLever
from gateway.watch.scaling.model import Reading

_UNWILLING = 0.01
"""Share of the questions to an upstream: with so many that it did not answer, it is the one that says no."""


def readings(levers: Iterable[Lever], window: Window, profile: Profile) -> Iterator[Reading]:
    """What was seen of each limit within the window, of which there has to be a sample."""
    for lever in levers:
        match lever:
            case MemoryLever():
                yield _memory(lever, window)
            case DiskLever():
                yield _disk(lever, window, profile)
            case PoolLever():
                yield _pool(lever, window)
            case ThreadsLever():
                yield _threads(lever, window)
            case _:
                raise AssertionError(f"no load of {lever.key}")


def _memory(lever: MemoryLever, window: Window) -> Reading:
    stands, (size, items) = lever.tier.statistics(), lever.tier.limits
    load = max(stands.size / max(1, size), stands.entries / items)
    evicted = window.evictions(lever.name)
    return Reading(
        lever.key,
        "memory",
        lever.value,
        lever.least,
        lever.most,
        load,
        load,
        evicted > 0,
        f"{load:.0%} full, {evicted} entries evicted in {window.seconds:.0f} s",
        used=stands.size,
        entries=stands.entries,
        reads=_reads(window, lever.name),
        curve=lever.tier.curve(),
    )


def _disk(lever: DiskLever, window: Window, profile: Profile) -> Reading:
    stands = lever.tier.statistics()
    load = stands.bytes_used / max(1, lever.value)
    evicted = window.evictions(lever.name)
    free = window.last.process.disk_free if window.last is not None else None
    return Reading(
        lever.key,
        "disk",
        lever.value,
        lever.least,
        lever.most,
        min(1.0, load),
        min(1.0, load),
        evicted > 0,
        f"{load:.0%} full, {evicted} entries evicted in {window.seconds:.0f} s",
        used=stands.bytes_used,
        entries=stands.entries,
        reads=_reads(window, lever.name),
        curve=lever.tier.curve(),
        room=None if free is None else free - profile.monitors.disk,
    )


def _pool(lever: PoolLever, window: Window) -> Reading:
    samples = [sample.upstreams[lever.name] for sample in window.samples if lever.name in sample.upstreams]
    loads = [min(1.0, sample.under_way / lever.value) for sample in samples]
    waits, outcomes = sum(sample.waits for sample in samples), window.upstream_outcomes(lever.name)
    asked, refused = sum(outcomes.values()), outcomes["unavailable"] + outcomes["rejected"]
    objection = ""
    if any(sample.breaker_open for sample in samples):
        objection = "its breaker opened, so it is asked too much already"
    elif refused > asked * _UNWILLING:
        objection = f"{refused} of {asked} questions were not answered, so it is asked too much already"
    elif any(sample.throttled for sample in samples):
        objection = f"requests wait for upstreams.{lever.name}.rate_limit, whatever the slots"
    mean = sum(loads) / max(1, len(loads))
    return Reading(
        lever.key,
        "pool",
        lever.value,
        lever.least,
        lever.most,
        mean,
        max(loads, default=0.0),
        waits > 0,
        f"{mean:.0%} of the slots taken, {waits} requests waited for one in {window.seconds:.0f} s",
        objection=objection,
        answers=(outcomes["answered"] + outcomes["unchanged"] + outcomes["not_found"]) / max(1e-9, window.seconds),
    )


def _threads(lever: ThreadsLever, window: Window) -> Reading:
    loads = [min(1.0, sample.process.threads / lever.value) for sample in window.samples]
    waiting = sum(sample.process.threads_waiting > 0 for sample in window.samples)
    mean = sum(loads) / max(1, len(loads))
    return Reading(
        lever.key,
        "threads",
        lever.value,
        lever.least,
        lever.most,
        mean,
        max(loads, default=0.0),
        waiting > 0,
        f"{mean:.0%} of the threads at work, tasks waited for one in {waiting} of {len(loads)} samples",
    )


def _reads(window: Window, tier: str) -> float:
    samples = [sample.tiers[tier] for sample in window.samples if tier in sample.tiers]
    return sum(sample.hits + sample.misses for sample in samples) / max(1e-9, window.seconds)
