"""What `[scaling]` may say and its author hardly means."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.profile.faults import Contradiction, did_you_mean
from gateway.profile.positions import KeyPath
from gateway.profile.profile import Profile
from gateway.profile.tiers import DiskTier, MemoryTier
from gateway.profile.units import format_duration, format_size
from gateway.profile.upstreams.policies import Politeness


def scaling_contradictions(profile: Profile) -> Iterator[Contradiction]:
    """Bounds that leave out where it starts, a budget that is none, and growth that nothing could justify."""
    scaling = profile.scaling
    if not scaling.enabled:
        return
    yield from _samples(profile)
    yield from _tier("memory", profile, profile.cache.memory)
    yield from _tier("disk", profile, profile.cache.disk)
    if profile.cache.memory.enabled:
        yield from _budget(profile)
    yield from _pools(profile)


def _samples(profile: Profile) -> Iterator[Contradiction]:
    window, metrics = profile.scaling.window, profile.metrics
    if not metrics.resolution <= window <= metrics.history:
        least, most = format_duration(metrics.resolution), format_duration(metrics.history)
        yield Contradiction(
            (("scaling", "window"), ("metrics", "resolution"), ("metrics", "history")),
            f"samples are taken every {least} and kept for {most}, and it looks back {format_duration(window)}",
            f"look back between {least} and {most}",
        )


def _tier(name: str, profile: Profile, tier: MemoryTier | DiskTier) -> Iterator[Contradiction]:
    scaled = profile.scaling.memory if name == "memory" else profile.scaling.disk
    if not scaled.enabled or not tier.enabled:
        return
    size: KeyPath = ("cache", name, "max_size")
    if scaled.min_size is not None and scaled.min_size > tier.max_size:
        yield Contradiction(
            (("scaling", name, "min_size"), size),
            f"the tier starts with {format_size(tier.max_size)}, which is less, and is raised at once",
            f"lower it, or raise cache.{name}.max_size",
        )
    if scaled.max_size is not None and scaled.max_size < tier.max_size:
        yield Contradiction(
            (("scaling", name, "max_size"), size),
            f"the tier starts with {format_size(tier.max_size)}, which is more, and is cut at once",
            f"raise it, or lower cache.{name}.max_size",
        )
    if not tier.curve:
        yield Contradiction(
            (("cache", name, "curve"), ("scaling", name, "enabled")),
            "without a curve nothing says what more room would bring, so the tier never grows",
            f"set cache.{name}.curve = true, or scaling.{name}.enabled = false",
        )


def _budget(profile: Profile) -> Iterator[Contradiction]:
    scaling, tier, monitor = profile.scaling, profile.cache.memory, profile.monitors.memory
    key: KeyPath = ("scaling", "memory_budget")
    if scaling.memory_budget is not None and scaling.memory_budget <= tier.max_size:
        yield Contradiction(
            (key, ("cache", "memory", "max_size")),
            f"the memory tier alone may take {format_size(tier.max_size)}, so it would shrink before it is full",
            "raise it well above the tier: the process needs room of its own",
        )
    elif scaling.memory_budget is not None and scaling.memory_budget > monitor.warning:
        warning = format_size(monitor.warning)
        yield Contradiction(
            (key, ("monitors", "memory", "warning")),
            f"the memory tier may grow past monitors.memory.warning ({warning}), where entries are given up again",
            "raise monitors.memory, or keep the budget below it",
        )


def _pools(profile: Profile) -> Iterator[Contradiction]:
    pools = profile.scaling.pools
    if not pools.enabled:
        return
    asked = {name: each for name, each in profile.upstreams.items() if isinstance(each, Politeness)}
    for index, name in enumerate(pools.leave):
        if name not in profile.upstreams:
            near = did_you_mean(name, profile.upstreams)
            remedy = f"did you mean {near}?" if near else "remove it"
            yield Contradiction((("scaling", "pools", "leave", index),), f"there is no upstream {name}", remedy)
    for name, upstream in asked.items():
        if name in pools.leave:
            continue
        starts: KeyPath = ("upstreams", name, "max_concurrent")
        if pools.min is not None and pools.min > upstream.max_concurrent:
            yield Contradiction(
                (("scaling", "pools", "min"), starts),
                f"{name} starts with {upstream.max_concurrent} requests at once, and would be asked more at once",
                f'lower it, or leave the upstream out: leave = ["{name}"]',
            )
        if pools.max is not None and pools.max < min(upstream.max_concurrent, upstream.pool.max_connections):
            yield Contradiction(
                (("scaling", "pools", "max"), starts),
                f"{name} starts with more requests at once, and would be cut",
                f'raise it, or leave the upstream out: leave = ["{name}"]',
            )
