"""Rules about the process: memory and the event loop."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.profile.units import format_size
from gateway.watch.diagnosis.cache_rules import PROCESS
from gateway.watch.diagnosis.changes import change, living_longer, merged, thresholds
from gateway.watch.diagnosis.model import Facts, Issue

_LAG = 0.1
"""Seconds from which on requests feel it, where no alert says what is bad."""
_LATE = 0.1
"""Of the samples: one late moment is nothing to change a profile for."""
_SMALLEST = 16_000_000
"""Bytes below which a memory tier is of little use."""


def high_memory(facts: Facts) -> Iterator[Issue]:
    """A process near the threshold at which it gives up entries."""
    monitor, tier = facts.profile.monitors.memory, facts.tiers.get("memory")
    if facts.resident < monitor.warning * 0.9:
        return
    smaller = max(_SMALLEST, (monitor.warning - PROCESS) // 1_000_000 * 1_000_000)
    held = "there is no memory tier"
    if tier is not None:
        held = f"the memory tier has {tier.size / 1e6:.0f} MB and may take {tier.limit / 1e6:.0f} MB"
    if tier is not None and tier.size > smaller:
        advice, fix = "make the memory tier smaller", change(format_size(smaller), "cache", "memory", "max_size")
    else:
        advice = "raise the thresholds if the machine has the memory: the tier is not what takes it"
        fix = thresholds(facts.profile, facts.resident * 3 // 2)
    yield Issue(
        "high_memory",
        "",
        f"{facts.resident / 1e6:.0f} MB are resident, entries are given up from {monitor.warning / 1e6:.0f} MB on; "
        + held,
        advice,
        min(100.0, 60 * facts.resident / monitor.warning),
        fix,
    )


def lag(facts: Facts) -> Iterator[Issue]:
    """An event loop that something holds up again and again."""
    limit = facts.profile.alerts.lag.warning or _LAG
    lags = [sample.process.lag for sample in facts.window.samples]
    late = [value for value in lags if value >= limit]
    if len(late) < 2 or len(late) < _LATE * len(lags):
        return
    heavy = {name: tool for name, tool in facts.tools.items() if tool.longest_select >= limit}
    busy = f"the process used {facts.window.cpu or 0.0:.0%} of one core"
    slowest = max(heavy, key=lambda name: heavy[name].longest_select, default=None)
    if slowest is not None:
        cause = f"; `select` of {slowest} took up to {heavy[slowest].longest_select * 1000:.0f} ms"
        advice = "let what takes so long to make live longer, so that it is made less often; or select from less"
    else:
        cause = ""
        advice = "`gateway profile-cpu` tells what takes the time; with one core full, add an instance"
    yield Issue(
        "lag",
        "",
        f"in {len(late)} of the last {len(lags)} samples a task was woken {limit * 1000:.0f} ms late or more, "
        f"{max(late) * 1000:.0f} ms at most; {busy}{cause}",
        advice,
        min(100.0, 100 * sum(late) / max(facts.window.seconds, 1.0)),
        merged(living_longer(facts.profile, tool.strategy, 2) for tool in heavy.values()),
    )
