"""Puts the facts of a running gateway together, and asks every rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

from gateway.profile.profile import Profile
from gateway.telemetry.histogram import combined
from gateway.telemetry.series import ANSWERED_FROM_CACHE
from gateway.telemetry.telemetry import Telemetry
from gateway.watch.diagnosis import cache_rules, process_rules, upstream_rules
from gateway.watch.diagnosis.changes import differing
from gateway.watch.diagnosis.model import Facts, Issue, ToolFacts
from gateway.watch.watching import Watching

WINDOW = 600.0
"""Seconds that a diagnosis looks back, where the samples go as far."""
_ENOUGH = 1000
"""Requests to a tier below which its curve is left out."""

Rule = Callable[[Facts], Iterator[Issue]]
RULES: tuple[Rule, ...] = (
    cache_rules.low_hit_rate,
    cache_rules.evictions,
    cache_rules.needless_room,
    cache_rules.spellings,
    cache_rules.never_again,
    upstream_rules.slow_upstream,
    upstream_rules.retry_storm,
    upstream_rules.pool_exhausted,
    upstream_rules.throttled,
    upstream_rules.batch_window,
    upstream_rules.open_breaker,
    process_rules.high_memory,
    process_rules.lag,
)
"""Every rule; each looks at one thing."""


def diagnose(facts: Facts) -> list[Issue]:
    """What costs, the most valuable first. A change has only what is not so already."""
    found = [replace(issue, change=differing(issue.change, facts.profile)) for rule in RULES for issue in rule(facts)]
    return sorted(found, key=lambda issue: -issue.worth)


def gather(profile: Profile, watching: Watching) -> Facts:
    """The facts of now."""
    return Facts(
        profile=profile,
        window=watching.series.window(WINDOW),
        resident=watching.gauges.resident(),
        tiers=watching.gauges.tiers(),
        upstreams=watching.gauges.upstreams(),
        tools=_tools(profile, watching.telemetry),
        curves={tier: curve for tier, curve in watching.gauges.curves().items() if curve.accesses >= _ENOUGH},
        misses=watching.telemetry.misses.misses(),
    )


def _tools(profile: Profile, telemetry: Telemetry) -> dict[str, ToolFacts]:
    """The tools that the profile declares and caches."""
    hits: Counter[str] = Counter()
    misses: Counter[str] = Counter()
    seconds: dict[str, float] = {}
    for (kind, name, outcome), timings in telemetry.requests.by("kind", "name", "outcome").items():
        if kind != "tool":
            continue
        whole = combined(timings)
        if outcome in ANSWERED_FROM_CACHE:
            hits[name] += whole.count
        elif outcome == "miss":  # what failed has another cause
            misses[name] += whole.count
            seconds[name] = seconds.get(name, 0.0) + whole.sum
    selects = {name: timing.max for (name,), timing in telemetry.selects.items()}
    return {
        name: ToolFacts(tool.strategy, hits[name], misses[name], seconds.get(name, 0.0), selects.get(name, 0.0))
        for name, tool in profile.tools.items()
        if hits[name] or misses[name]
    }
