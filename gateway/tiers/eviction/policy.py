"""What every eviction algorithm offers, and the record of an entry that it works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

LEVELS = 3
"""Priorities: low, medium, high. The entries of each are kept in an order of their own."""

TICKS = 50
"""Ticks of an eviction clock while as many entries come in as there are.

The clock counts what comes in, not seconds: only that makes an entry leave. Coarse, because the reads within a tick are
taken for one: an answer asked for three times in one conversation is not yet popular (LRU-K's correlated references).
It also makes most reads nearly free, and lets entries share the tick's integer.
"""

IDLE = 4 * TICKS
"""Ticks after which an entry that nobody asked for loses one level of priority's protection."""


class Node:
    """An entry as its policy sees it. The owner makes it, may add slots of its own, and writes `key` alone.

    `cost` is in bytes; `priority` from 0, which goes first.
    """

    __slots__ = ("cost", "hits", "key", "level", "main", "newer", "older", "priority", "sample", "seen")

    key: str
    cost: int
    priority: int
    level: int
    """The priority that it counts as: lower than its own once it is idle."""
    seen: int
    """The tick of the last read."""
    hits: int
    """Ticks with reads, up to a few, since the policy last looked."""
    main: bool
    """Where it is: in the main queue, or still on probation."""
    sample: int
    """The mark of its key if the rehearsals follow it, or 0."""
    newer: Node | None
    older: Node | None

    def __init__(self, key: str, cost: int = 0, priority: int = 0) -> None:
        self.key = key
        self.cost = cost
        self.priority = self.level = priority
        self.seen = self.hits = self.sample = 0
        self.main = False
        self.newer = self.older = None


@dataclass(frozen=True, slots=True)
class EvictionStatistics:
    """How a policy stands at the moment."""

    algorithm: str
    entries: int
    cost: int
    window: float
    """The part of the room that newcomers have to themselves; 1 where all entries are alike."""
    probation: int
    """How many entries are in that part."""
    ghosts: int
    """Room for keys that are remembered after they went."""
    rehearsed: int
    """Entries of the small simulations."""


N = TypeVar("N", bound=Node)


class EvictionPolicy(Protocol[N]):
    """The order in which entries go.

    A node is known to its policy from `admit` until `remove`, or until `victim` has returned it.
    """

    def admit(self, node: N) -> None:
        """Take in a new entry. The owner then calls `victim` until there is room."""

    def hit(self, node: N) -> None:
        """Note a read."""

    def update(self, node: N, cost: int, priority: int) -> None:
        """Note that an entry was replaced by another of the same key: it keeps its place. Not a read."""

    def remove(self, node: N) -> None:
        """Forget an entry that was purged or has expired."""

    def victim(self) -> N:
        """Give up the entry that is worth least, which may be the newest; the policy forgets it.

        Raises LookupError if there is none.
        """

    def resize(self, max_items: int, max_cost: int) -> None:
        """Take new limits. The owner then calls `victim` until they hold."""

    def statistics(self) -> EvictionStatistics:
        """How it stands."""
