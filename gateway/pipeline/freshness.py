"""For how long an entry may be used: a pure function of the entry, the reader's policy and the time.

The windows are those of RFC 5861 (stale-while-revalidate, stale-if-error); age is counted as in RFC 9111, section 4.2,
from the moment at which the oldest source was known to be true.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from gateway.pipeline.directives import SILENT, Directives
from gateway.pipeline.model import Entry, Horizon, Outcome, Policy, Priority, UpstreamFreshness

CLOCK_TOLERANCE = 2.0
"""Seconds by which an entry may seem to come from the future, for clocks that are corrected in small steps."""


class Verdict(Enum):
    """What a reader may do with an entry."""

    FRESH = "fresh"
    """Serve it."""
    REVALIDATE = "revalidate"
    """Serve it and start one refresh."""
    ON_ERROR = "on error"
    """Refresh it; serve it only if that fails."""
    EXPIRED = "expired"
    """Never serve it."""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """For how many seconds an answer is fresh and usable, and whether it may be kept at all."""

    ttl: float
    stale_while_revalidate: float
    stale_if_error: float
    keep: bool = True


def lifetime(policy: Policy, directives: Directives = SILENT) -> Lifetime:
    """What a strategy makes of what the upstream says, before jitter.

    "ignore": the strategy alone counts. "honour": the upstream's word stands in for the strategy's, where there is one
    (no-store and, for a public strategy, private: not kept; no-cache: stale at once; must-revalidate: no stale
    windows). "cap": as "honour", but never longer than the strategy. No upstream makes a private strategy public.
    """
    windows = policy.stale_while_revalidate, policy.stale_if_error
    if policy.upstream_freshness is UpstreamFreshness.IGNORE:
        return Lifetime(policy.ttl, *windows)
    if directives.no_store or (directives.private and not policy.private):
        return Lifetime(0.0, 0.0, 0.0, keep=False)
    cap = policy.upstream_freshness is UpstreamFreshness.CAP

    def chosen(word: float | None, own: float) -> float:
        return own if word is None else min(word, own) if cap else word

    stale = not (directives.no_cache or directives.must_revalidate)
    return Lifetime(
        0.0 if directives.no_cache else chosen(directives.remaining, policy.ttl),
        chosen(directives.stale_while_revalidate, policy.stale_while_revalidate) if stale else 0.0,
        chosen(directives.stale_if_error, policy.stale_if_error) if stale else 0.0,
    )


def jittered(ttl: float, jitter: float, draw: float) -> float:
    """`ttl` less up to the part `jitter` of it; `draw` is a random number from 0 to 1."""
    return ttl * (1.0 - jitter * draw)


def new_entry(
    payload: bytes,
    policy: Policy,
    stored_at: float,
    *,
    directives: Directives = SILENT,
    draw: float = 0.0,
    tags: tuple[str, ...] = (),
    immutable: bool = False,
    media_type: str = "",
    etag: str = "",
    last_modified: str = "",
) -> Entry:
    """An entry under `policy` whose oldest source was known to be true at `stored_at`; `draw` is for jitter."""
    life = lifetime(policy, directives)
    return Entry(
        payload,
        stored_at=stored_at,
        fresh_until=float("inf") if immutable else stored_at + jittered(life.ttl, policy.jitter, draw),
        stale_while_revalidate=life.stale_while_revalidate,
        stale_if_error=life.stale_if_error,
        tags=tags,
        priority=policy.priority,
        immutable=immutable,
        media_type=media_type,
        etag=etag,
        last_modified=last_modified,
    )


def derived_entry(
    payload: bytes,
    policy: Policy,
    sources: Sequence[Entry],
    now: float,
    *,
    draw: float = 0.0,
    tags: tuple[str, ...] = (),
) -> Entry:
    """An entry made of others: as old as the oldest of them, and neither fresher nor longer usable than any.

    Where the strategy honours the upstream's word, that word is in the sources, and they alone decide.
    """
    entry = new_entry(payload, policy, min((s.stored_at for s in sources), default=now), draw=draw, tags=tags)
    if not sources:
        return entry
    limits = sources if policy.upstream_freshness is UpstreamFreshness.HONOUR else (*sources, entry)
    return entry.but(
        fresh_until=min(limit.fresh_until for limit in limits),
        stale_while_revalidate=min(limit.stale_while_revalidate for limit in limits),
        stale_if_error=min(limit.stale_if_error for limit in limits),
    )


def not_found_entry(message: str, policy: Policy, stored_at: float, *, tags: tuple[str, ...] = ()) -> Entry | None:
    """What is kept of an upstream's word that there is no such thing; None when the strategy keeps nothing of it."""
    if policy.negative.not_found <= 0:
        return None
    return Entry(
        message.encode("utf-8", "replace"),
        stored_at=stored_at,
        fresh_until=stored_at + policy.negative.not_found,
        tags=tags,
        priority=Priority.LOW,
        outcome=Outcome.NOT_FOUND,
    )


def judge(entry: Entry, policy: Policy, now: float) -> Verdict:
    """What a reader with `policy` may do with `entry` at `now`.

    The stricter of the two wins: an entry stored under a longer ttl is no fresher to a reader who wants a shorter one,
    save where the strategy honours the upstream's own word.
    An entry from the future has an unknown age (the clock was set back since), so it is expired.
    """
    if entry.stored_at > now + CLOCK_TOLERANCE:
        return Verdict.EXPIRED
    fresh_until = lasts_until(entry, policy)
    if not entry.terms.immutable:
        if entry.stored_at <= policy.not_before:
            return Verdict.EXPIRED
        fresh_until = min(fresh_until, entry.stored_at + policy.max_age)
    if now < fresh_until and (policy.horizon is None or _lasts(entry, fresh_until, policy.horizon)):
        return Verdict.FRESH
    if not policy.patient and now < fresh_until + min(entry.stale_while_revalidate, policy.stale_while_revalidate):
        return Verdict.REVALIDATE
    if now < fresh_until + min(entry.stale_if_error, policy.stale_if_error):
        return Verdict.ON_ERROR
    return Verdict.EXPIRED


def lasts_until(entry: Entry, policy: Policy) -> float:
    """Until when `entry` is fresh to readers with `policy`, whatever one of them asks for beyond it."""
    if entry.terms.immutable:
        return entry.fresh_until
    if entry.outcome is Outcome.NOT_FOUND:
        return min(entry.fresh_until, entry.stored_at + policy.negative.not_found)
    if policy.upstream_freshness is UpstreamFreshness.HONOUR:
        return entry.fresh_until
    return min(entry.fresh_until, entry.stored_at + policy.ttl)


def _lasts(entry: Entry, fresh_until: float, horizon: Horizon) -> bool:
    return fresh_until >= horizon.until or entry.stored_at >= horizon.since
