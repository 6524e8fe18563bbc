"""A cache without payloads that stands for a tier at one size: a miniature simulation.

C. Waldspurger, T. Saemundsson, I. Ahmad, N. Park, "Cache modeling and optimization using miniature simulations",
USENIX ATC 2017: a cache of a size scaled down by R, fed the requests of a part R of the keys, has about the hit rate of
the whole. It holds for every eviction policy, where a stack of reuse distances (SHARDS) is about LRU alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gateway.tiers.eviction.policy import EvictionPolicy, Node

OrderOf = Callable[[int, int], "EvictionPolicy[TwinNode]"]
"""Makes the policy for a most number of entries and a most cost."""


class TwinNode(Node):
    """An entry of a twin: what it would cost, and until when it could be used."""

    __slots__ = ("expires", "now")

    def __init__(self, key: str, cost: int, priority: int, expires: float, now: float) -> None:
        super().__init__(key, cost, priority)
        self.expires = expires
        self.now = now
        """When it was last asked for or written, for policies that go by time."""


class Twin:
    """The tier at `factor` times its size, for the keys that are sampled."""

    __slots__ = ("_max_cost", "_max_items", "_nodes", "_policy", "cost", "factor")

    def __init__(self, factor: float, order: OrderOf, max_items: int, max_cost: int) -> None:
        self.factor = factor
        self.cost = 0
        self._nodes: dict[str, TwinNode] = {}
        self._max_items = max_items
        self._max_cost = max_cost
        self._policy = order(max_items, max_cost)

    def __len__(self) -> int:
        """How many entries it has."""
        return len(self._nodes)

    def ask(self, key: str, now: float) -> bool:
        """Whether it has `key`, which counts as a read; what nobody may use any more is dropped."""
        node = self._nodes.get(key)
        if node is None:
            return False
        if now >= node.expires:
            self.forget(key)
            return False
        node.now = now
        self._policy.hit(node)
        return True

    def put(self, key: str, cost: int, priority: int, expires: float, now: float) -> None:
        """Keep an entry, at the cost of others where there is no room."""
        node = self._nodes.get(key)
        if cost > self._max_cost:
            self.forget(key)
            return
        if node is None:
            node = self._nodes[key] = TwinNode(key, cost, priority, expires, now)
            self.cost += cost
            self._policy.admit(node)
        else:
            self.cost += cost - node.cost
            node.expires, node.now = expires, now
            self._policy.update(node, cost, priority)
        self._make_room()

    def has(self, key: str, now: float) -> bool:
        """Whether it has `key`, which does not count as a read."""
        node = self._nodes.get(key)
        return node is not None and now < node.expires

    def forget(self, key: str) -> None:
        """Drop `key`, if it is there."""
        node = self._nodes.pop(key, None)
        if node is not None:
            self.cost -= node.cost
            self._policy.remove(node)

    def forget_all(self, keys: Iterable[str]) -> None:
        """Drop `keys`."""
        for key in keys:
            self.forget(key)

    def kept(self) -> list[str]:
        """What it has."""
        return list(self._nodes)

    def resize(self, max_items: int, max_cost: int) -> None:
        """Take new limits; what has no room any more is given up."""
        self._max_items, self._max_cost = max_items, max_cost
        self._policy.resize(max_items, max_cost)
        self._make_room()

    def _make_room(self) -> None:
        nodes = self._nodes
        while self.cost > self._max_cost or len(nodes) > self._max_items:
            victim = self._policy.victim()
            del nodes[victim.key]
            self.cost -= victim.cost
