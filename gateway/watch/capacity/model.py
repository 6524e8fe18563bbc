"""What a plan is made of, and the plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.tiers.curve import Curve


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be carried."""

    rps: float
    """Requests a second, of all instances together."""
    shares: Mapping[str, float]
    """The part of them for each tool; together 1."""
    headroom: float = 0.3
    """The part of an instance that is to stay free, for peaks."""
    spare: int = 1
    """Instances beside those, for one that fails or is restarted."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one process did under load, as `gateway load --report` has it."""

    rps: float
    """Requests a second that were answered well."""
    p99: float
    """Seconds."""
    success_rate: float
    shares: Mapping[str, float]
    """The part of the requests that each tool had."""
    open_loop: bool
    """Whether the rate was given: then the process might have done more."""
    cut_short: bool


@dataclass(frozen=True, slots=True)
class ToolSeen:
    """One tool since the gateway's start."""

    calls: int
    hit_rate: float | None
    """None where nothing of it is cached."""

    @property
    def misses(self) -> float:
        """Calls that were not answered from the cache."""
        return self.calls * (1 - (self.hit_rate or 0.0))


@dataclass(frozen=True, slots=True)
class UpstreamSeen:
    """One upstream since the gateway's start."""

    asked: int
    p95: float | None
    """Seconds of an answer, without what it waited for in the gateway; None where there were too few."""
    waits: int = 0
    """Questions that had to wait for a slot."""


@dataclass(frozen=True, slots=True)
class TierSeen:
    """One tier since the gateway's start, and its curve."""

    size: int
    """Bytes that it may have at present."""
    entries: int
    hit_rate: float | None
    """At the present size; None where nothing was read."""
    curve: Curve | None


@dataclass(frozen=True, slots=True)
class Seen:
    """What a running gateway says of itself."""

    uptime: float
    tools: Mapping[str, ToolSeen]
    upstreams: Mapping[str, UpstreamSeen]
    tiers: Mapping[str, TierSeen]


@dataclass(frozen=True, slots=True)
class Instances:
    """How many processes."""

    needed: int
    spare: int
    each: float
    """Requests a second that one carries with headroom."""
    arithmetic: str

    @property
    def whole(self) -> int:
        """With the spare ones."""
        return self.needed + self.spare


@dataclass(frozen=True, slots=True)
class TierPlan:
    """How large a tier of one instance should be."""

    tier: str
    size: int
    hit_rate: float
    """That it has then."""
    now: int
    arithmetic: str


@dataclass(frozen=True, slots=True)
class UpstreamPlan:
    """What reaches an upstream, of all instances together and of each."""

    upstream: str
    rps: float
    """Questions a second, of all instances."""
    under_way: float
    """Questions at once, of all instances (Little's law)."""
    of_rate_limit: float
    """The part of one instance's `rate_limit` that this takes."""
    of_slots: float
    """The part of one instance's slots: `max_concurrent`, or `pool.max_connections` where that is less."""
    quota: str
    """What the upstream has to allow, of all instances, in the window of `rate_limit`."""
    arithmetic: Sequence[str]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a load takes."""

    instances: Instances
    tiers: Sequence[TierPlan] = ()
    upstreams: Sequence[UpstreamPlan] = ()
    change: Mapping[str, Any] = field(default_factory=dict)
    """The lines of the profile to write, as tables."""
    guesses: Sequence[str] = ()
    """What of it was not measured, a sentence each."""
    missed: str | None = None
    """What of the reads no tier has, now and as planned."""
