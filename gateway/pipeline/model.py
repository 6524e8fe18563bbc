"""The values of the pipeline: what is asked for, what is kept, what is answered."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import Enum, IntEnum
from functools import lru_cache, partial
from typing import Any


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
class Horizon:
    """Until when an answer should stay fresh: what a reader asks for who only comes back then (RFC 9111, min-fresh)."""

    since: float
    """What is as new as this is good enough: nothing fresher is to be had."""
    until: float


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

    patience: float = 2.0
    """How long a caller waits for a refresh where a stale entry could stand in for it."""
    max_age: float = float("inf")
    """What one reader asks for beyond the strategy: nothing older than this."""
    not_before: float = float("-inf")
    """Something has changed at this time: what was known to be true until then is of no use, not even on error."""
    horizon: Horizon | None = None
    """And nothing that is stale before this."""

    @property
    def patient(self) -> bool:
        """Whether the reader would rather wait than be served something that is older than was asked for."""
        return self.horizon is not None or self.max_age != float("inf")

    def at_most(self, max_age: float) -> Policy:
        """The policy of a reader who wants nothing older than `max_age` seconds, and would rather wait than that."""
        return replace(self, max_age=max_age)


@dataclass(frozen=True, slots=True)
class Terms:
    """What many entries have in common, and therefore share: an entry in memory costs little beside its payload."""

    stale_while_revalidate: float
    stale_if_error: float
    priority: Priority
    immutable: bool
    media_type: str
    etag: str
    last_modified: str
    outcome: Outcome


@lru_cache(maxsize=1024)
def _shared_terms(*terms: Any) -> Terms:
    return Terms(*terms)


LONG_TAGS = 1000
"""Characters of an entry's tags from which on they are its own: they hold arguments, and what is shared is kept."""


@lru_cache(maxsize=1024)
def _shared_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(sys.intern, tags))


@dataclass(frozen=True, slots=True, init=False)
class Entry:
    """Something kept: the bytes of a document or of a result, and for how long they may be used.

    All times are seconds since the epoch, by the gateway's `Clock`.
    """

    payload: bytes
    stored_at: float
    """When the oldest source of the payload was last known to be true; the entry's age counts from here."""
    fresh_until: float
    tags: tuple[str, ...]
    terms: Terms

    def __init__(
        self,
        payload: bytes,
        stored_at: float,
        fresh_until: float,
        stale_while_revalidate: float = 0.0,
        stale_if_error: float = 0.0,
        tags: tuple[str, ...] = (),
        priority: Priority = Priority.MEDIUM,
        immutable: bool = False,
        media_type: str = "",
        etag: str = "",
        last_modified: str = "",
        outcome: Outcome = Outcome.OK,
    ) -> None:
        terms = _shared_terms(
            stale_while_revalidate, stale_if_error, priority, immutable, media_type, etag, last_modified, outcome
        )
        fix = partial(object.__setattr__, self)
        fix("payload", payload)
        fix("stored_at", stored_at)
        fix("fresh_until", fresh_until)
        fix("tags", _shared_tags(tags) if sum(map(len, tags)) < LONG_TAGS else tags)
        fix("terms", terms)

    @property
    def stale_while_revalidate(self) -> float:
        """For so long after `fresh_until` it may be served while one refresh runs."""
        return self.terms.stale_while_revalidate

    @property
    def stale_if_error(self) -> float:
        """For so long after `fresh_until` it may be served when a refresh fails."""
        return self.terms.stale_if_error

    @property
    def priority(self) -> Priority:
        """What it is worth when there is no room."""
        return self.terms.priority

    @property
    def immutable(self) -> bool:
        """The source never changes: the age does not matter, only the tiers' own limits do."""
        return self.terms.immutable

    @property
    def media_type(self) -> str:
        """Of a document; without parameters."""
        return self.terms.media_type

    @property
    def etag(self) -> str:
        """Of a document, for a conditional request."""
        return self.terms.etag

    @property
    def last_modified(self) -> str:
        """Of a document, for a conditional request."""
        return self.terms.last_modified

    @property
    def outcome(self) -> Outcome:
        """What kind of answer it is."""
        return self.terms.outcome

    @property
    def usable_until(self) -> float:
        """From here on nobody may use the entry, so a tier can drop it."""
        return self.fresh_until + max(self.terms.stale_while_revalidate, self.terms.stale_if_error)

    def but(self, **changes: Any) -> Entry:
        """The same entry with other values for some arguments of the constructor."""
        values = {"payload": self.payload, "stored_at": self.stored_at, "fresh_until": self.fresh_until}
        terms = {field.name: getattr(self.terms, field.name) for field in fields(self.terms)}
        return Entry(**{**values, **terms, "tags": self.tags, **changes})

    def fresh_at_most_until(self, limit: float) -> Entry:
        """The same entry, fresh no longer than a tier allows."""
        return self if self.fresh_until <= limit else self.but(fresh_until=limit)

    def made_stale(self, at: float) -> Entry:
        """The same entry after a soft purge: not served while it is refreshed, only when that fails."""
        return self.but(fresh_until=min(self.fresh_until, at), stale_while_revalidate=0.0, immutable=False)


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
    """"memory", "disk", "shared", "upstream" for one that was loaded for this request, or "documents" for one that was
    made of stale documents, since the upstream fails."""

    def fresh_at_most_until(self, limit: float) -> Answer:
        """The same answer to a reader to whom it is fresh no longer than that."""
        entry = self.entry.fresh_at_most_until(limit)
        return self if entry is self.entry else replace(self, entry=entry)


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
    shareable: bool = False
    """Whether the key means the same to every instance, so that the answer may be theirs as well."""
    asks: bool = False
    """Whether the load itself asks an upstream, and waits for nothing else."""

    @property
    def shared(self) -> bool:
        """Whether the shared tier may hold the answer."""
        return self.shareable and "shared" in self.policy.tiers

    def in_tier(self, name: str) -> bool:
        """Whether the tier of this name may hold the answer."""
        return name in self.policy.tiers and (self.shareable or name != "shared")
