"""Bits of the janitor's work that are over in time, whatever their rows cost."""

from __future__ import annotations

import time
from functools import wraps
from typing import Protocol

from gateway.tiers.disk_store import Store

_SLICE = 16
"""Rows between two looks at the clock: a row may cost ten pages, so that these take a millisecond or two."""
TARGET = 0.004
"""Seconds that a bit should take, so that with what may fall into it, it stays below 20 ms."""


class Chore(Protocol):
    """Something that the janitor does."""

    def __call__(self, store: Store, limit: int) -> int:
        """Do up to `limit` of it; how many it were."""


def in_slices(chore: Chore) -> Chore:
    """`chore` a few rows at a time, until `limit` or the time is reached: what a row costs is not known before."""

    @wraps(chore)
    def bit(store: Store, limit: int) -> int:
        done, end = 0, time.perf_counter() + TARGET
        while done < limit and (not done or time.perf_counter() < end):
            count = chore(store, limit=min(_SLICE, limit - done))
            if not count:
                break
            done += count
        return done

    return bit
