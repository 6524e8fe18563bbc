"""For how long an entry may be used: a pure function of the entry, the reader's policy and the time.

The windows are those of RFC 5861 (stale-while-revalidate, stale-if-error); age is counted as in RFC 9111, section 4.2,
from the moment at which the oldest source was known to be true.
"""

from __future__ import annotations

from enum import Enum

from gateway.pipeline.model import Entry, Policy

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


def new_entry(
    payload: bytes,
    policy: Policy,
    stored_at: float,
    *,
    tags: tuple[str, ...] = (),
    immutable: bool = False,
    media_type: str = "",
    etag: str = "",
    last_modified: str = "",
) -> Entry:
    """An entry under `policy` whose oldest source was known to be true at `stored_at`."""
    return Entry(
        payload,
        stored_at=stored_at,
        fresh_until=float("inf") if immutable else stored_at + policy.ttl,
        stale_while_revalidate=policy.stale_while_revalidate,
        stale_if_error=policy.stale_if_error,
        tags=tags,
        priority=policy.priority,
        immutable=immutable,
        media_type=media_type,
        etag=etag,
        last_modified=last_modified,
    )


def judge(entry: Entry, policy: Policy, now: float) -> Verdict:
    """What a reader with `policy` may do with `entry` at `now`.

    The stricter of the two wins: an entry stored under a longer ttl is no fresher to a reader who wants a shorter one.
    An entry from the future has an unknown age (the clock was set back since), so it is expired.
    """
    if entry.stored_at > now + CLOCK_TOLERANCE:
        return Verdict.EXPIRED
    fresh_until = entry.fresh_until if entry.immutable else min(entry.fresh_until, entry.stored_at + policy.ttl)
    if now < fresh_until:
        return Verdict.FRESH
    if now < fresh_until + min(entry.stale_while_revalidate, policy.stale_while_revalidate):
        return Verdict.REVALIDATE
    if now < fresh_until + min(entry.stale_if_error, policy.stale_if_error):
        return Verdict.ON_ERROR
    return Verdict.EXPIRED
