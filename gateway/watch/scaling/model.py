"""What a decision about a limit rests on, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.tiers.curve import Curve

Kind = Literal["memory", "disk", "pool", "threads"]

_UNITS = (("GB", 10**9), ("MB", 10**6), ("KB", 10**3))

SIZES = frozenset({"memory", "disk"})
"""The kinds whose limits are bytes; the others are counts."""


def told(kind: Kind, value: int) -> str:
    """A limit for people: a size in the unit that is nearest, as a profile would have it."""
    if kind not in SIZES:
        return str(value)
    unit, factor = next((each for each in _UNITS if value >= each[1]), ("B", 1))
    return f"{value / factor:.6g}{unit}"


@dataclass(frozen=True, slots=True)
class Reading:
    """A limit as it is, and what was seen of it within the window."""

    key: str
    """The line of the profile that it starts from."""
    kind: Kind
    value: int
    """Bytes of a tier; else how many at once."""
    least: int
    most: int
    load: float
    """From 0 to 1, on average: how much of the limit is used."""
    peak: float
    """The same at its highest; of a tier, which fills and does not breathe, it is the same."""
    wants: bool
    """Whether something had to go without: entries were evicted, requests or tasks waited."""
    evidence: str
    """That in numbers."""
    used: int = 0
    """Of a tier: the bytes that its entries take."""
    entries: int = 0
    """Of a tier."""
    reads: float = 0.0
    """Of a tier: reads a second."""
    curve: Curve | None = None
    """Of a tier that has one."""
    room: int | None = None
    """Of the disk: bytes that are free beside what has to stay free; None where it can't be told."""
    objection: str = ""
    """Of a pool or the threads: why more would not help, as far as it can be known before it is tried."""
    answers: float = 0.0
    """Of a pool: answers a second that were good."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The process at the moment of a look."""

    now: float
    """Seconds on any clock that never goes back."""
    resident: int
    budget: int
    budget_key: str
    """Where the budget comes from."""
    cpu: float
    """Share of one core, within the window."""


@dataclass(frozen=True, slots=True)
class Step:
    """A limit that is to be moved."""

    key: str
    kind: Kind
    before: int
    after: int
    reason: str
    """What was seen, and what is hoped for."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A limit that load would have grow, and that stays."""

    key: str
    why: Literal["bound", "budget", "flat", "unknown", "useless", "disk"]
    reason: str


@dataclass(frozen=True, slots=True)
class Trial:
    """A pool that has grown, and what it brought before."""

    before: int
    answers: float


@dataclass(frozen=True, slots=True)
class Standing:
    """What is remembered of a limit from look to look."""

    high: int = 0
    """Looks in a row that found it loaded."""
    low: int = 0
    moved_at: float = float("-inf")
    trial: Trial | None = None
    """Of a pool: its last growth, until it is known what that brought."""
    useless_until: float = float("-inf")
    """Of a pool: until when it does not grow again, as the last time brought nothing."""
