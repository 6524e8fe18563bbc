"""What a diagnosis rests on, and what it finds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.profile.profile import Profile
from gateway.telemetry.histogram import Histogram
from gateway.telemetry.series import Window
from gateway.telemetry.shapes import Spread
from gateway.tiers.curve import Curve
from gateway.watch.gauges import TierState, UpstreamState

Change = Mapping[str, Any]
"""Part of a profile: tables by their keys, values as TOML has them."""


@dataclass(frozen=True, slots=True)
class ToolFacts:
    """What one tool did since the start."""

    strategy: str
    hits: int
    misses: int
    seconds_missed: float
    """Seconds that callers waited for misses, all together."""


@dataclass(frozen=True, slots=True)
class Facts:
    """A running gateway at a moment."""

    profile: Profile
    window: Window
    """The last minutes."""
    resident: int
    tiers: Mapping[str, TierState]
    upstreams: Mapping[str, UpstreamState]
    tools: Mapping[str, ToolFacts]
    curves: Mapping[str, Curve]
    """By tier; those that rest on enough."""
    spreads: Mapping[str, Mapping[str, Spread]]
    """By tool and argument."""
    lag: Histogram
    """Of the window."""


@dataclass(frozen=True, slots=True)
class Issue:
    """Something that costs, what shows it, and what to change."""

    name: str
    """Which rule found it, in one word."""
    subject: str
    """The tier, tool or upstream; empty where it is the gateway."""
    evidence: str
    """What was seen, in numbers."""
    advice: str
    """What to do, and what that costs."""
    worth: float
    """From 0 to 100, how much there is to gain: 100 is a gateway that does nothing else but wait or fail."""
    change: Change = field(default_factory=dict)
    """The change of the profile; empty where none would help by itself."""

    @property
    def paths(self) -> Mapping[str, tuple[str, ...]]:
        """The keys that the change sets, by how they are written."""
        return {".".join(path): path for path in _paths(self.change, ())}


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


def _merge(whole: dict[str, Any], part: Change) -> None:
    for key, value in part.items():
        if isinstance(value, Mapping):
            inner = whole.setdefault(key, {})
            if isinstance(inner, dict):
                _merge(inner, value)
        else:
            whole.setdefault(key, value)


def _paths(part: Change, before: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for key, value in part.items():
        if isinstance(value, Mapping):
            yield from _paths(value, (*before, key))
        else:
            yield (*before, key)
