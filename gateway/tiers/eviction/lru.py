"""`algorithm = "lru"`: what was not asked for the longest goes first."""

from __future__ import annotations

from typing import Generic

from gateway.tiers.eviction.policy import IDLE, LEVELS, TICKS, EvictionStatistics, N
from gateway.tiers.eviction.ring import Ring


class Lru(Generic[N]):
    """The entries of each priority in the order of their last read; the lowest priority that has entries gives one up.

    An idle entry of a higher priority counts as low in the end, as `Adaptive` has it.
    """

    def __init__(self, max_items: int, max_cost: int) -> None:
        self._levels: list[Ring[N]] = [Ring() for _ in range(LEVELS)]
        self._now = 1
        self._arrived = 0
        self.resize(max_items, max_cost)

    def admit(self, node: N) -> None:
        """Take in a new entry."""
        node.seen = self._now
        self._levels[node.level].append(node)
        self._tick()

    def hit(self, node: N) -> None:
        """Note a read."""
        node.seen = self._now
        self._levels[node.state >> 3 & 0b11].renew(node)

    def update(self, node: N, cost: int, priority: int) -> None:
        """Note that an entry was replaced."""
        if priority == node.priority:
            self._levels[node.level].cost += cost - node.cost
            node.cost = cost
            return
        self._levels[node.level].remove(node)
        node.value(cost, priority)
        self._levels[priority].append(node)

    def remove(self, node: N) -> None:
        """Forget an entry."""
        self._levels[node.level].remove(node)

    def victim(self) -> N:
        """Give up what was not asked for the longest."""
        for level, ring in enumerate(self._levels):
            while ring.items:
                node = ring.oldest
                ring.remove(node)
                if node.priority == level or self._idle(node):
                    return node
                node.place(level=node.priority, main=False)  # read since it was taken for low
                self._levels[node.priority].append(node)
        raise LookupError("expected an entry to give up, found none")

    def resize(self, max_items: int, max_cost: int) -> None:
        """Take new limits, which the order does not depend on."""

    def statistics(self) -> EvictionStatistics:
        """How it stands."""
        entries, cost = self._entries(), sum(ring.cost for ring in self._levels)
        return EvictionStatistics("lru", entries, cost, window=1.0, probation=entries, ghosts=0, rehearsed=0)

    def _entries(self) -> int:
        low, medium, high = self._levels
        return low.items + medium.items + high.items

    def _idle(self, node: N) -> bool:
        return self._now - node.seen > IDLE * node.priority

    def _tick(self) -> None:
        entries = self._entries()
        self._arrived += TICKS
        if self._arrived < entries:
            return
        self._arrived %= entries
        self._now += 1
        used = [ring for ring in self._levels if ring.items]
        for ring in used[1:]:
            while ring.items and self._idle(ring.oldest):
                node = ring.oldest
                ring.remove(node)
                node.place(level=0, main=False)
                self._levels[0].prepend(node)
