"""The order in which the disk tier evicts, as an eviction policy that a twin can play."""

from __future__ import annotations

from gateway.tiers.curve.twin import TwinNode
from gateway.tiers.eviction.policy import LEVELS, EvictionStatistics
from gateway.tiers.eviction.ring import Ring


class Recency:
    """By priority, and within that what was written or read longest ago; a read counts once in `recent` seconds.

    That is `ORDER BY priority, used_at` of `gateway.tiers.disk_entries`; `seen` of a node is in whole seconds here. A
    high priority is never given up before a low one, however old it is.
    """

    def __init__(self, recent: float) -> None:
        self._recent = recent
        self._levels: list[Ring[TwinNode]] = [Ring() for _ in range(LEVELS)]

    def admit(self, node: TwinNode) -> None:
        """Take in a new entry."""
        node.seen = int(node.now)
        self._levels[node.priority].append(node)

    def hit(self, node: TwinNode) -> None:
        """Note a read, unless the last one is recent."""
        if node.now - node.seen >= self._recent:
            node.seen = int(node.now)
            self._levels[node.priority].renew(node)

    def update(self, node: TwinNode, cost: int, priority: int) -> None:
        """Note that an entry was written again: that counts as a use."""
        self.remove(node)
        node.value(cost, priority)
        self.admit(node)

    def remove(self, node: TwinNode) -> None:
        """Forget an entry."""
        self._levels[node.priority].remove(node)

    def victim(self) -> TwinNode:
        """Give up the least recently used one of the lowest priority. Raises LookupError if there is none."""
        for ring in self._levels:
            if ring.items:
                node = ring.oldest
                ring.remove(node)
                return node
        raise LookupError("expected an entry to give up, found none")

    def resize(self, max_items: int, max_cost: int) -> None:
        """Take new limits, which the order does not depend on."""

    def statistics(self) -> EvictionStatistics:
        """How it stands."""
        entries, cost = sum(ring.items for ring in self._levels), sum(ring.cost for ring in self._levels)
        return EvictionStatistics("recency", entries, cost, window=1.0, probation=entries, ghosts=0, rehearsed=0)
