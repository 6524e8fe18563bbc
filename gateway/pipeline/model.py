"""The values of the pipeline: what is asked for, what is kept, what is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum


class Priority(IntEnum):
    """What an entry is worth when there is no room; the lowest goes first."""

    LOW = 0
    MEDIUM = 1
    HIGH = 2


class Outcome(IntEnum):
    """What kind of answer an entry holds: the thing itself, or what is known of it not being there."""

    OK = 0
    NOT_FOUND = 1
    """The upstream says that there is no such thing; the payload is the sentence that says so."""


class UpstreamFreshness(Enum):
    """What an upstream's own word about freshness is worth (RFC 9111)."""

    IGNORE = "ignore"
    HONOUR = "honour"
    CAP = "cap"


@dataclass(frozen=True, slots=True)
class Negative:
    """For how many seconds a failure is remembered, by what it was; 0 is not at all."""

    not_found: float = 0.0
    upstream_error: float = 0.0
    invalid: float = 0.0


@dataclass(frozen=True, slots=True)
class Policy:
    """A strategy of the profile, as the pipeline needs it. Seconds throughout."""

    name: str
    ttl: float
    stale_while_revalidate: float = 0.0
    stale_if_error: float = 0.0
    priority: Priority = Priority.MEDIUM
    negative: Negative = Negative()
    jitter: float = 0.0
    """Up to this part of a ttl is taken off it at random, so that what was stored together does not expire together."""
    tiers: frozenset[str] = frozenset({"memory", "disk"})
    """The tiers that may hold the entries, by name."""
    private: bool = False
    """Whether each caller has entries of its own."""
    upstream_freshness: UpstreamFreshness = UpstreamFreshness.IGNORE

    max_age: float = float("inf")
    """What one reader asks for beyond the strategy: nothing older than this."""

    def at_most(self, max_age: float) -> Policy:
        """The policy of a reader who wants nothing older than `max_age` seconds, and would rather wait than that."""
        return replace(self, max_age=max_age)


@dataclass(frozen=True, slots=True)
class Entry:
    """Something kept: the bytes of a document or of a result, and for how long they may be used.

    All times are seconds since the epoch, by the gateway's `Clock`.
    """

    payload: bytes
    stored_at: float
    """When the oldest source of the payload was last known to be true; the entry's age counts from here."""
    fresh_until: float
    stale_while_revalidate: float = 0.0
    """For so long after `fresh_until` it may be served while one refresh runs."""
    stale_if_error: float = 0.0
    """For so long after `fresh_until` it may be served when a refresh fails."""
    tags: tuple[str, ...] = ()
    priority: Priority = Priority.MEDIUM
    immutable: bool = False
    """The source never changes: the age does not matter, only the tiers' own limits do."""
    media_type: str = ""
    etag: str = ""
    last_modified: str = ""
    outcome: Outcome = Outcome.OK

    @property
    def usable_until(self) -> float:
        """From here on nobody may use the entry, so a tier can drop it."""
        return self.fresh_until + max(self.stale_while_revalidate, self.stale_if_error)

    def fresh_at_most_until(self, limit: float) -> Entry:
        """The same entry, fresh no longer than a tier allows."""
        return self if self.fresh_until <= limit else replace(self, fresh_until=limit)

    def made_stale(self, at: float) -> Entry:
        """The same entry after a soft purge: not served while it is refreshed, only when that fails."""
        return replace(self, fresh_until=min(self.fresh_until, at), stale_while_revalidate=0.0, immutable=False)


class Status(Enum):
    """Where an answer came from, as its caller is told."""

    HIT = "hit"
    STALE = "stale"
    MISS = "miss"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the pipeline answers: the entry, whether it was there already, and in which tier."""

    entry: Entry
    status: Status
    tier: str
    """"memory", "disk", or "upstream" for one that was loaded for this request."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load brought."""

    entry: Entry
    keep: bool = True
    """False: the callers that wait get it, nobody else does."""
    companions: Mapping[str, Entry] = field(default_factory=dict)
    """Other entries that came along, by key."""


@dataclass(frozen=True, slots=True)
class Request:
    """One thing to get: its key, how long an answer is good for, and how to make one.

    `load` gets the entry that is to be revalidated, if there is one, and raises GatewayError when there is no answer.
    """

    key: str
    policy: Policy
    load: Callable[[Entry | None], Awaitable[Loaded]]
