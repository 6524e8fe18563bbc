"""Changes of a profile: parts of one, which set some keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gateway.profile.profile import Profile
from gateway.profile.units import format_duration, format_size

Change = Mapping[str, Any]
"""Part of a profile: tables by their keys, values as TOML has them."""

_LONGEST = 30 * 86400.0
"""Seconds beyond which nobody is advised to keep an answer."""


def change(value: Any, *path: str) -> Change:
    """The change that sets the key at `path` to `value`."""
    for key in reversed(path):
        value = {key: value}
    changed: Change = value
    return changed


def merged(changes: Iterable[Change]) -> dict[str, Any]:
    """All changes as one; the first one that sets a key counts."""
    whole: dict[str, Any] = {}
    for each in changes:
        _merge(whole, each)
    return whole


def differing(part: Change, profile: Profile) -> Change:
    """What of a change is not so already."""
    return _differing(part, profile.model_dump(exclude_none=True))


def paths(part: Change, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The keys that a change sets."""
    for key, value in part.items():
        if isinstance(value, Mapping):
            yield from paths(value, (*before, key))
        else:
            yield (*before, key)


def living(profile: Profile, strategy: str) -> float:
    """For how long an answer under the strategy is fresh in fact: no longer than the last tier that holds it says."""
    section = profile.strategies[strategy]
    _, limit = _last_tier(profile, strategy)
    return min(section.ttl, limit)


def living_longer(profile: Profile, strategy: str, factor: int) -> Change:
    """The change that lets answers under the strategy be fresh for `factor` times as long as they are."""
    now = living(profile, strategy)
    ttl = max(now, min(now * factor, _LONGEST))
    tier, limit = _last_tier(profile, strategy)
    parts = (
        [change(format_duration(ttl), "strategies", strategy, "ttl")] if profile.strategies[strategy].ttl < ttl else []
    )
    return merged([*parts, *([change(format_duration(ttl), "cache", tier, "ttl")] if limit < ttl else [])])


def thresholds(profile: Profile, warning: int) -> Change:
    """The change that raises `[monitors.memory]` to a `warning` of at least so many bytes, and the alert with it."""
    monitor, alert = profile.monitors.memory, profile.alerts.memory
    rounded = max(monitor.warning, -(-warning // 10_000_000) * 10_000_000)
    critical = max(monitor.critical, rounded * 6 // 5)
    parts = [change({"warning": format_size(rounded), "critical": format_size(critical)}, "monitors", "memory")]
    above = critical
    for severity in ("warning", "critical"):  # they are about what emptying the tier did not help against
        limit: int | None = getattr(alert, severity)
        if limit is not None:
            above = max(limit, above + critical // 10 // 1_000_000 * 1_000_000)
            parts.append(change(format_size(above), "alerts", "memory", severity))
    return differing(merged(parts), profile)


def _last_tier(profile: Profile, strategy: str) -> tuple[str, float]:
    tiers = profile.strategies[strategy].tiers
    if profile.cache.disk.enabled and "disk" in tiers:
        return "disk", profile.cache.disk.ttl
    return "memory", profile.cache.memory.ttl


def _merge(whole: dict[str, Any], part: Change) -> None:
    for key, value in part.items():
        if isinstance(value, Mapping):
            inner = whole.setdefault(key, {})
            if isinstance(inner, dict):
                _merge(inner, value)
        else:
            whole.setdefault(key, value)


def _differing(part: Change, present: Any) -> dict[str, Any]:
    known = present if isinstance(present, Mapping) else {}
    found: dict[str, Any] = {}
    for key, value in part.items():
        if isinstance(value, Mapping):
            inner = _differing(value, known.get(key))
            if inner:
                found[key] = inner
        elif key not in known or known[key] != value:
            found[key] = value
    return found
