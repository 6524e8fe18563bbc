"""What every eviction algorithm offers, and the record of an entry that it works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar
from zlib import crc32

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


HITS = 0b11
"""Bits of `Node.state` that count hits, and so the most that count."""

SAMPLED = 1 << 7
"""Bit of `Node.state`: the simulations get this key's requests."""


class Node:
    """An entry as its policy sees it. The owner makes it, may add slots of its own, and changes nothing but those.

    `cost` is in any unit: a coarse one saves memory, as Python has the integers up to 256 anyway. `priority` is from 0,
    which goes first. What takes few bits is packed into `state`, for the same reason: 80 bytes a node in place of 112.
    """

    __slots__ = ("cost", "key", "newer", "older", "seen", "state")

    key: str
    cost: int
    seen: int
    """The tick of the last read."""
    state: int
    newer: Node | None
    older: Node | None

    def __init__(self, key: str, cost: int = 0, priority: int = 0) -> None:
        self.key = key
        self.cost = cost
        self.seen = 0
        self.state = priority << 5 | priority << 3
        self.newer = self.older = None

    @property
    def hits(self) -> int:
        """Ticks with reads, up to three, since the policy last looked."""
        return self.state & HITS

    @property
    def main(self) -> bool:
        """Whether it is in the main queue, no longer on probation."""
        return bool(self.state & 1 << 2)

    @property
    def level(self) -> int:
        """The priority that it counts as: lower than its own once it is idle."""
        return self.state >> 3 & 0b11

    @property
    def priority(self) -> int:
        """The priority that the owner gave it."""
        return self.state >> 5 & 0b11

    @property
    def sampled(self) -> bool:
        """Whether the simulations get its requests."""
        return bool(self.state & SAMPLED)

    @property
    def mark(self) -> int:
        """What the ghosts know it by."""
        return mark_of(self.key)

    def place(self, *, level: int, main: bool) -> None:
        """Note in which queue it is, newly: without hits."""
        self.state = self.state & ~0b11111 | level << 3 | main << 2

    def value(self, cost: int, priority: int) -> None:
        """Note another cost and priority; it counts as that again."""
        self.cost = cost
        self.state = self.state & ~0b1111000 | priority << 5 | priority << 3


def mark_of(key: str) -> int:
    """32 bits of `key`, never 0, the same in every process. Mixed: CRC-32 alone keeps the pattern of numbered keys."""
    return crc32(key.encode("utf-8", "surrogatepass")) * 0x9E3779B97F4A7C15 >> 29 & 0xFFFFFFFF or 1


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
