"""What reaches upstreams, and what of their limits that takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil

from gateway.profile.profile import Profile
from gateway.profile.tools import Tool
from gateway.profile.units import format_duration
from gateway.profile.upstreams.mcp import McpUpstream
from gateway.profile.upstreams.policies import Politeness
from gateway.profile.upstreams.search import SearchUpstream
from gateway.watch.capacity.model import Instances, Seen, Target, UpstreamPlan
from gateway.watch.capacity.tiers import Missed
from gateway.watch.diagnosis.changes import Change, change, merged

WAITED = 0.05
"""Of the questions to an upstream: with so many that waited for a slot, it was the slots that were tested."""


def asked_by(tool: Tool, profile: Profile) -> frozenset[str]:
    """The upstreams that a tool's answers are made of; a search is made of those that it reads."""
    names: set[str] = set()
    for fetch in tool.documents.values():
        section = profile.upstreams.get(fetch.upstream)
        if isinstance(section, SearchUpstream):
            names |= {section.upstream, *([section.listing.upstream or section.upstream] if section.listing else [])}
        else:
            names.add(fetch.upstream)
    return frozenset(name for name in names if isinstance(profile.upstreams.get(name), Politeness))


def upstream_plans(
    profile: Profile, target: Target, seen: Seen, lost: Missed | None, instances: Instances
) -> Iterator[UpstreamPlan]:
    """Each upstream of the target's tools, as far as it was asked."""
    scale = lost.planned / lost.now if lost is not None and lost.now else 1.0
    by_upstream: dict[str, list[str]] = {}
    for name in target.shares:
        if name in profile.tools:
            for upstream in sorted(asked_by(profile.tools[name], profile)):
                by_upstream.setdefault(upstream, []).append(name)
    for upstream, names in by_upstream.items():
        section, about = profile.upstreams[upstream], seen.upstreams.get(upstream)
        users = [name for name, tool in profile.tools.items() if upstream in asked_by(tool, profile)]
        missed_before = sum(seen.tools[name].misses for name in users if name in seen.tools)
        if not isinstance(section, Politeness) or about is None or not about.asked or missed_before < 1:
            continue
        documents = about.asked / missed_before
        misses = sum(target.rps * target.shares[name] * _miss_rate(seen, name) for name in names)
        rate = misses * scale * documents
        yield _plan(
            upstream,
            section,
            rate,
            about.p95 or 0.0,
            instances,
            [
                f"misses of {', '.join(names)}: {misses:.4g}/s at {target.rps:g}/s and the tools' hit rates so far; "
                f"x {scale:.3f} for the tiers as planned; x {documents:.3g} questions for a miss = {rate:.4g}/s"
            ],
        )


def change_of(profile: Profile, plans: Mapping[str, UpstreamPlan], instances: Instances, headroom: float) -> Change:
    """The limits to raise, of each instance; those that suffice are left alone."""
    parts: list[Change] = []
    for name, plan in plans.items():
        section = profile.upstreams[name]
        if not isinstance(section, Politeness):
            continue
        most = ceil(plan.rps / instances.needed * section.rate_limit.window / (1 - headroom))
        if most > section.rate_limit.max:
            parts.append(change(most, "upstreams", name, "rate_limit", "max"))
        at_once = ceil(plan.under_way / instances.needed / (1 - headroom))
        if at_once > section.max_concurrent:
            parts.append(change(at_once, "upstreams", name, "max_concurrent"))
        if _pooled(section) and at_once > section.pool.max_connections:
            parts.append(change(at_once, "upstreams", name, "pool", "max_connections"))
    return merged(parts)


def upstream_guesses(profile: Profile, target: Target, seen: Seen, plans: Mapping[str, UpstreamPlan]) -> Iterator[str]:
    """What of it was not measured."""
    wanted = {
        each for name in target.shares if name in profile.tools for each in asked_by(profile.tools[name], profile)
    }
    for name in sorted(wanted - plans.keys()):
        yield f"upstream {name} was not asked yet: what reaches it is unknown"
    for name in sorted(wanted & plans.keys()):
        about = seen.upstreams[name]
        if about.p95 is None:
            yield f"upstream {name} gave too few answers to tell how long one takes: nothing is said of slots"
        if about.waits > about.asked * WAITED:
            yield (
                f"{about.waits} of {about.asked} questions to {name} waited for a slot: with more of them one process "
                "may carry more than the load test says"
            )
    for name in sorted(target.shares):
        if name not in profile.tools:
            yield f"tool {name} is another server's: what it asks of upstreams is not counted"
            continue
        tool = seen.tools.get(name)
        if tool is None or not tool.calls:
            yield f"tool {name} was not called yet: it counts as never answered from the cache"
    if plans and profile.cache.shared.enabled:
        yield "the shared tier answers as much of what the others miss as it did, whatever the number of instances"
    elif plans:
        yield (
            "each instance has a cache of its own, and fetches what expires for itself: with more of them, each hits a "
            "little less than the one that was measured"
        )


def _plan(
    name: str, section: Politeness, rate: float, p95: float, instances: Instances, arithmetic: list[str]
) -> UpstreamPlan:
    count, limit = instances.needed, section.rate_limit
    under_way = rate * p95
    slots = min(section.max_concurrent, section.pool.max_connections) if _pooled(section) else section.max_concurrent
    in_window = rate * limit.window
    window = format_duration(limit.window)
    arithmetic += [
        f"at once (Little's law): {rate:.4g}/s x {p95:.3g} s at the p95 = {under_way:.3g}, "
        f"{under_way / count:.3g} of {slots} slots on each of {count}",
        f"in {window}: {rate:.4g}/s x {limit.window:g} s = {in_window:.0f}, "
        f"{in_window / count:.0f} of rate_limit.max = {limit.max} on each of {count}",
    ]
    return UpstreamPlan(
        name,
        rate,
        under_way,
        in_window / count / limit.max,
        under_way / count / slots,
        f"{ceil(in_window)} in {window}",
        tuple(arithmetic),
    )


def _miss_rate(seen: Seen, tool: str) -> float:
    about = seen.tools.get(tool)
    return 1 - (about.hit_rate or 0.0) if about is not None and about.calls else 1.0


def _pooled(section: Politeness) -> bool:
    return not isinstance(section, McpUpstream) or section.url is not None
