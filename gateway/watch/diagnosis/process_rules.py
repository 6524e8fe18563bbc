"""Rules about the process: memory, the event loop, the log of it all."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.profile.units import format_size
from gateway.watch.diagnosis.model import Facts, Issue, change

_LAG = 0.05
"""Seconds at the 99th percentile from which on requests feel it, where no alert says what is bad."""
_ROOM = 150_000_000
"""Bytes that the process needs beside its memory tier."""


def high_memory(facts: Facts) -> Iterator[Issue]:
    """A process near the threshold at which it gives up entries."""
    monitor, tier = facts.profile.monitors.memory, facts.tiers.get("memory")
    if facts.resident < monitor.warning * 0.9 or tier is None:
        return
    needed = tier.limit + _ROOM
    if needed > monitor.warning:
        smaller = max(16_000_000, (monitor.warning - _ROOM) // 1_000_000 * 1_000_000)
        advice, fix = "make the memory tier smaller", change(format_size(smaller), "cache", "memory", "max_size")
        if smaller >= tier.limit:
            advice = "raise the thresholds"
            fix = change(_thresholds(facts.resident), "monitors", "memory")
    else:
        advice = "raise the thresholds if the machine has the memory: the tier is not what takes it"
        fix = change(_thresholds(facts.resident), "monitors", "memory")
    yield Issue(
        "high_memory",
        "",
        f"{facts.resident / 1e6:.0f} MB are resident, entries are given up from {monitor.warning / 1e6:.0f} MB on; "
        f"the memory tier has {tier.size / 1e6:.0f} MB and may take {tier.limit / 1e6:.0f} MB",
        advice,
        min(100.0, 60 * facts.resident / monitor.warning),
        fix,
    )


def lag(facts: Facts) -> Iterator[Issue]:
    """An event loop that something holds up."""
    limit = facts.profile.alerts.lag.warning or _LAG
    p99 = facts.lag.percentile(0.99)
    if facts.lag.count < 50 or p99 < limit:
        return
    busy = facts.window.cpu or 0.0
    cause = f"the process used {busy:.0%} of one core"
    fix = change(True, "profiling", "cpu") if not facts.profile.profiling.cpu else {}
    yield Issue(
        "lag",
        "",
        f"tasks were woken {p99 * 1000:.0f} ms late at the 99th percentile; {cause}",
        "`gateway profile-cpu` tells what takes the time: large documents and `select` over them are usual; with one "
        "core full, add an instance",
        min(100.0, 100 * p99),
        fix,
    )


def _thresholds(resident: int) -> dict[str, str]:
    warning = -(-resident * 3 // 2 // 10_000_000) * 10_000_000
    return {"warning": format_size(warning), "critical": format_size(warning * 6 // 5)}
