"""The queues of `Adaptive`: a probation and a main queue for each priority, and the ghosts that they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

from gateway.tiers.eviction.ghosts import WRAP, Ghosts
from gateway.tiers.eviction.policy import HITS, IDLE, TICKS, N
from gateway.tiers.eviction.ring import Ring

LAP = 64
"""Most entries that one eviction looks at: it must not walk a queue in which everything was just read."""

DEAD = 100 * TICKS
"""Ticks after which an entry of the main queue goes even if none has earned its place: it is of another time.

Not much less: in a cache that is small against its keys, popular entries wait for their next read that long.
"""

SHIFTS = 4
"""Most entries that one newcomer moves without merit, so that no change of the window stalls it."""


@dataclass(frozen=True, slots=True)
class Stance:
    """How newcomers are treated: two numbers that make the queues resistant to scans, or quick to change."""

    window: float
    """The part of the room for entries on probation."""
    patience: float
    """How many times as long as a ghost stayed away must the main queue's victim have been idle to make room for it."""


class Level(Generic[N]):
    """The two queues of a priority."""

    __slots__ = ("main", "probation")

    def __init__(self) -> None:
        self.probation: Ring[N] = Ring()
        self.main: Ring[N] = Ring()

    @property
    def items(self) -> int:
        """How many entries it has."""
        return self.probation.items + self.main.items

    @property
    def cost(self) -> int:
        """What they cost."""
        return self.probation.cost + self.main.cost


class Queues(Generic[N]):
    """The order of the entries, for one stance."""

    def __init__(self, stance: Stance, max_items: int, max_cost: int, levels: int, ghosts: int) -> None:
        self.stance = stance
        self.max_items = max_items
        self.max_cost = max_cost
        self.levels: list[Level[N]] = [Level() for _ in range(levels)]
        self.ghosts = Ghosts(ghosts)
        self.items = 0
        self.cost = 0
        self.now = 1
        """The eviction clock."""
        self._arrived = 0
        self._narrowed = False

    def take(self, stance: Stance) -> None:
        """Go on with another stance: the queues change as entries come in."""
        self._narrowed = stance.window < self.stance.window
        self.stance = stance

    def admit(self, node: N, mark: int) -> None:
        """Take in `node`: on probation, or in the main queue if it was given up too early."""
        level = self.levels[node.priority]
        node.seen = self.now
        seen = self.ghosts.recall(mark)
        main = seen is not None and level.main.items > 0 and self._returns(level, seen)
        node.place(level=node.priority, main=main)
        (level.main if main else level.probation).append(node)
        self.items += 1
        self.cost += node.cost
        if self.items <= self.max_items and self.cost <= self.max_cost:
            self._shift(level)
        self._tick()
        node.seen = self.now  # so that a read right after is one with this

    def touch(self, node: N) -> None:
        """Note a read."""
        if node.seen != self.now:
            node.seen = self.now
            if node.state & HITS != HITS:
                node.state += 1

    def update(self, node: N, cost: int, priority: int) -> None:
        """Change what `node` costs and is worth; it keeps its place unless the priority is another."""
        self.cost += cost - node.cost
        if priority == node.priority:
            self._ring(node).cost += cost - node.cost
            node.cost = cost
            return
        self._ring(node).remove(node)
        node.value(cost, priority)
        self._ring(node).append(node)

    def remove(self, node: N) -> None:
        """Take `node` out, and remember that it was there."""
        self._ring(node).remove(node)
        self.items -= 1
        self.cost -= node.cost
        self.ghosts.remember(node.mark, node.seen)

    def victim(self) -> N:
        """Take out the entry that is worth least: of the lowest priority that there is."""
        for level in self.levels:
            while level.items:
                node = self._worst(level)
                if node is not None:
                    self.remove(node)
                    return node
        raise LookupError("expected an entry to give up, found none")

    def _worst(self, level: Level[N]) -> N | None:
        """The entry that `level` gives up; None if looking for it has moved the last one to a higher level."""
        probation = level.probation
        if probation.items and (oldest := probation.oldest).level < oldest.priority and not oldest.hits:
            return oldest
        if self._narrowed and probation.items:
            self._narrowed = self._shift(level, spare=probation.newest)
        if level.main.items and self._dead(level.main.oldest):
            return level.main.oldest
        for _ in range(LAP):
            if not probation.items or (self._surplus(level) <= 0 and level.main.items):
                break
            if not probation.oldest.hits:
                return probation.oldest
            self._promote(probation.oldest)
        return self._oldest_in_main(level) if level.main.items else None

    def _shift(self, level: Level[N], spare: N | None = None) -> bool:
        """Bring probation nearer to its part without merit; whether it is still above."""
        for _ in range(SHIFTS):
            if level.probation.items < 2 or self._surplus(level, spare) <= 0:
                return False
            self._promote(level.probation.oldest)
        return True

    def _promote(self, node: N) -> None:
        """Move `node` from probation to the main queue: of its own priority, if it was read."""
        self.levels[node.level].probation.remove(node)
        node.place(level=node.priority if node.hits else node.level, main=True)
        self.levels[node.level].main.append(node)

    def _oldest_in_main(self, level: Level[N]) -> N:
        """Where CLOCK's hand stops: entries that were read since it last came by get another lap."""
        main = level.main
        for _ in range(LAP):
            node = main.oldest
            if not node.hits:
                break
            node.state -= 1
            main.rotate()
        return main.oldest

    def _returns(self, level: Level[N], seen: int) -> bool:
        """Whether a ghost last read at `seen` is worth more than the main queue's victim: LIRS's comparison."""
        away = self.now - seen & WRAP
        idle = self.now - self._oldest_in_main(level).seen
        return away * self.stance.patience < idle

    def _surplus(self, level: Level[N], spare: N | None = None) -> float:
        """By how much the entries on probation, but for `spare`, exceed their part: in bytes if those are scarcer.

        One entry of middling size is always within it.
        """
        items = level.items
        part = max(self.stance.window, 1 / items)
        if self.cost * self.max_items > self.items * self.max_cost:
            return level.probation.cost - (spare.cost if spare else 0) - part * level.cost
        return level.probation.items - (spare is not None) - part * items

    def _dead(self, node: N) -> bool:
        return not node.hits and self.now - node.seen > DEAD

    def _ring(self, node: N) -> Ring[N]:
        level = self.levels[node.level]
        return level.main if node.main else level.probation

    def _tick(self) -> None:
        self._arrived += TICKS
        if self._arrived < self.items:
            return
        self._arrived %= self.items
        self.now += 1
        used = [level for level in self.levels if level.items]
        for level in used[1:]:
            self._age(level)

    def _age(self, level: Level[N]) -> None:
        """Let idle entries count as low. Looks at so many that all have been looked at by the time as many came in."""
        for ring in (level.probation, level.main):
            for _ in range(1 + ring.items // TICKS):
                if not ring.items:
                    break
                node = ring.oldest
                if self.now - node.seen > IDLE * node.level:
                    ring.remove(node)
                    node.place(level=0, main=False)
                    self.levels[0].probation.prepend(node)
                elif not node.main and node.hits:
                    self._promote(node)
                elif node.main:
                    ring.rotate()
