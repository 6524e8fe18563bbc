"""L1: entries in this process, least recently used out first."""

from __future__ import annotations

import sys
from collections import OrderedDict

from gateway.pipeline.clock import Clock
from gateway.pipeline.glob import Glob
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Entry
from gateway.profile.tiers import MemoryTier as MemorySection
from gateway.telemetry.metrics import TierMeter

OVERHEAD = 400
"""Bytes that an entry costs beyond its payload and key: the Entry, its tags, the slot in the table."""


class MemoryTier:
    """Keeps entries up to a number, a number of bytes, and a time; `get` and `put` never wait.

    An entry counts as fresh for at most `ttl` from when it was put here; it stays for its stale windows.
    """

    name = "memory"

    def __init__(self, section: MemorySection, clock: Clock) -> None:
        self._max_size = section.max_size
        self._max_items = section.max_items
        self._ttl = section.ttl
        self._clock = clock
        self._entries: OrderedDict[str, tuple[Entry, float]] = OrderedDict()
        self._size = 0
        self.meter = TierMeter()
        self.evictions = 0

    def __len__(self) -> int:
        """How many entries there are."""
        return len(self._entries)

    @property
    def size(self) -> int:
        """Bytes that the entries take, with their bookkeeping."""
        return self._size

    def get(self, key: str) -> Entry | None:
        """The entry of `key`, fresh or stale; one that nobody may use any more is dropped."""
        slot = self._entries.get(key)
        if slot is None:
            self.meter.misses += 1
            return None
        entry, fresh_here_until = slot
        now = self._clock()
        if now >= fresh_here_until:
            entry = entry.fresh_at_most_until(fresh_here_until)
            if now >= entry.usable_until:
                self._remove(key)
                self.meter.misses += 1
                return None
        self._entries.move_to_end(key)
        self.meter.hits += 1
        return entry

    def peek(self, key: str) -> Entry | None:
        """The entry of `key`, without counting or using it: for those who look at the cache."""
        slot = self._entries.get(key)
        if slot is None:
            return None
        entry, fresh_here_until = slot
        return entry if self._clock() < fresh_here_until else entry.fresh_at_most_until(fresh_here_until)

    def entries(self, pattern: str = "*", after: str = "") -> list[tuple[str, Entry]]:
        """Every entry whose key matches the glob `pattern`, by key, from behind `after` on."""
        glob = Glob(pattern)
        keys = sorted(key for key in self._entries if key > after and glob.matches(key))
        return [(key, self._entries[key][0]) for key in keys]

    def put(self, key: str, entry: Entry) -> None:
        """Keep `entry`, evicting the least recently used where there is no room; one that can't fit is not kept."""
        self._remove(key)
        cost = _cost(key, entry)
        if cost > self._max_size:
            return
        self._entries[key] = (entry, min(entry.fresh_until, self._clock() + self._ttl))
        self._size += cost
        self.meter.writes += 1
        while self._size > self._max_size or len(self._entries) > self._max_items:
            self._remove(next(iter(self._entries)))
            self.evictions += 1

    def purge(self, selector: Selector, *, soft: bool = False) -> int:
        """Forget the selected entries, or only make them stale; how many there were. One pass over all keys."""
        selected = [key for key, (entry, _) in self._entries.items() if selector.matches(key, entry.tags)]
        now = self._clock()
        for key in selected:
            if soft:
                self._entries[key] = (self._entries[key][0].made_stale(now), now)
            else:
                self._remove(key)
        return len(selected)

    def _remove(self, key: str) -> None:
        slot = self._entries.pop(key, None)
        if slot is not None:
            self._size -= _cost(key, slot[0])


def _cost(key: str, entry: Entry) -> int:
    return len(entry.payload) + sys.getsizeof(key) + OVERHEAD
