"""A queue of nodes, linked through the nodes themselves: 16 bytes an entry, and any of them leaves in constant time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, cast

from gateway.tiers.eviction.policy import N, Node


class Ring(Generic[N]):
    """Nodes from the oldest to the newest, how many they are and what they cost."""

    __slots__ = ("_end", "cost", "items")

    def __init__(self) -> None:
        self.items = 0
        self.cost = 0
        self._end = end = Node("")
        end.newer = end.older = end

    def __iter__(self) -> Iterator[N]:
        """Oldest first."""
        node = self._end.newer
        while node is not self._end:
            yield cast(N, node)
            node = cast(Node, node).newer

    @property
    def oldest(self) -> N:
        """The one that came first; only where there is one."""
        return cast(N, self._end.newer)

    @property
    def newest(self) -> N:
        """The one that came last; only where there is one."""
        return cast(N, self._end.older)

    def append(self, node: N) -> None:
        """Put `node` in as the newest."""
        end = self._end
        last = cast(Node, end.older)
        node.older, node.newer = last, end
        last.newer = end.older = node
        self.items += 1
        self.cost += node.cost

    def prepend(self, node: N) -> None:
        """Put `node` in as the oldest."""
        end = self._end
        first = cast(Node, end.newer)
        node.older, node.newer = end, first
        first.older = end.newer = node
        self.items += 1
        self.cost += node.cost

    def remove(self, node: N) -> None:
        """Take `node` out."""
        older, newer = cast(Node, node.older), cast(Node, node.newer)
        older.newer, newer.older = newer, older
        node.older = node.newer = None
        self.items -= 1
        self.cost -= node.cost

    def renew(self, node: N) -> None:
        """Make `node` the newest."""
        end = self._end
        older, newer = cast(Node, node.older), cast(Node, node.newer)
        older.newer, newer.older = newer, older
        last = cast(Node, end.older)
        node.older, node.newer = last, end
        last.newer = end.older = node

    def rotate(self) -> None:
        """Make the oldest the newest."""
        self.renew(self.oldest)
