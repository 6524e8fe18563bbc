"""What a diagnosis rests on, and what it finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.profile.profile import Profile
from gateway.telemetry.series import Window
from gateway.telemetry.shapes import Misses
from gateway.tiers.curve import Curve
from gateway.watch.diagnosis.changes import Change, paths
from gateway.watch.gauges import TierState, UpstreamState


@dataclass(frozen=True, slots=True)
class ToolFacts:
    """What one tool did since the start."""

    strategy: str
    hits: int
    misses: int
    seconds_missed: float = 0.0
    """Seconds that callers waited for misses, all together."""
    longest_select: float = 0.0
    """Seconds that parsing a document and selecting from it took at most."""

    @property
    def asked(self) -> int:
        """Calls that were answered, from the cache or not."""
        return self.hits + self.misses


@dataclass(frozen=True, slots=True)
class Facts:
    """A running gateway at a moment."""

    profile: Profile
    window: Window
    """The last minutes."""
    resident: int = 0
    tiers: Mapping[str, TierState] = field(default_factory=dict)
    """Fastest first."""
    upstreams: Mapping[str, UpstreamState] = field(default_factory=dict)
    tools: Mapping[str, ToolFacts] = field(default_factory=dict)
    """Those that are cached."""
    curves: Mapping[str, Curve] = field(default_factory=dict)
    """By tier; those that rest on enough."""
    misses: Mapping[str, Misses] = field(default_factory=dict)
    """By tool."""


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
        return {".".join(path): path for path in paths(self.change)}
