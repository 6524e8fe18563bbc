"""`algorithm = "adaptive"`: evicts by how often and how recently, and finds the weight of each by itself.

It rests on four ideas:

- S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023): newcomers wait in a small queue
  and most of them leave from there, so a scan does not flush what is popular; a hit only counts up, entries move when
  one has to go ("lazy promotion, quick demotion", HotOS 2023). This is what makes a hit cheap in Python.
- LIRS (Jiang and Zhang, SIGMETRICS 2002): a key that returns after it was given up enters the main queue only if it
  stayed away for less time than that queue's victim has been idle. S3-FIFO lets all of them in, which thrashes on loops
  larger than the cache.
- Mini-simulations (Waldspurger et al., "Cache modeling and optimization using miniature simulations", ATC 2017): the
  right size of the small queue differs by workload from 1 to 80 % of the room. Four sizes are played on a sample of the
  keys, and the best is taken.
- LRU-K (O'Neil et al., SIGMOD 1993): reads in quick succession count as one.

Left: hill climbing (Caffeine's W-TinyLFU) and ghost-driven adaption (ARC) move by small steps towards what is better
nearby, and stay on the wrong side of a cliff, such as answers that are asked for exactly twice. A frequency sketch
(TinyLFU) in place of LIRS's comparison was worse where the working set moves, and costs four hashes a read.

Priority: within a level all of the above holds; the lowest level that has entries gives one up. An entry of a higher
level that nobody asked for while 4 (medium) or 8 (high) times as many entries came in as there are counts as low from
then on, until it is read. With one priority in use none of this has an effect.
"""

from __future__ import annotations

from typing import Generic

from gateway.tiers.eviction.ghosts import Ghosts
from gateway.tiers.eviction.policy import HITS, LEVELS, SAMPLED, EvictionStatistics, N, mark_of
from gateway.tiers.eviction.queues import Queues, Stance
from gateway.tiers.eviction.rehearsal import Rehearsals

STANCES = (Stance(0.01, 3.0), Stance(0.1, 1.5), Stance(0.4, 1.0), Stance(0.8, 1.0))
"""From loops and scans, where what is there is best left alone, to working sets that move, where recency counts."""

FIRST = STANCES[1]
"""S3-FIFO's own window, right for most; taken until something better is known."""

SAMPLE = 384
"""Most entries of a simulation, unless told otherwise: all four take 0.3 MB at most. More were hardly better, half as
many a little worse."""

WIDEST = 2**31
"""Marks below this are sampled at first: half of the keys, as small caches need not spend their time on simulations."""

BATCH = 64
"""Requests after which the simulations are played on, by the next entry that comes in: a read never pays for that."""

GHOSTS = 2
"""Ghosts for each entry: a loop of up to three times the cache is still recognised."""


class Adaptive(Generic[N]):
    """S3-FIFO's queues with LIRS's admission, in the stance that fits the present requests."""

    def __init__(self, max_items: int, max_cost: int, sample: int = SAMPLE) -> None:
        self._sample = sample
        self._queues: Queues[N] = Queues(FIRST, max_items, max_cost, LEVELS, ghosts=0)
        self._planned = 0
        """For how many entries there are ghosts."""
        self._rehearsals: Rehearsals | None = None
        self._sampled_below = WIDEST
        """Marks below this are sampled: a part of the keys that halves as the entries double (SHARDS, FAST 2015)."""
        self._sampled: dict[int, N] = {}
        """Entries whose requests the simulations get."""
        self._asked: list[str] = []
        """Requests for the simulations. Bounded: reads of an entry count once in a tick, and only `admit` ends one."""

    def admit(self, node: N) -> None:
        """Take in a new entry."""
        mark = node.mark
        node.state &= ~SAMPLED
        if mark < self._sampled_below:
            node.state |= SAMPLED
            self._sampled[mark] = node
            self._asked.append(node.key)
            if len(self._sampled) > self._sample:
                self._sample_below(self._sampled_below // 2)
        self._queues.admit(node, mark)
        if len(self._asked) >= BATCH:
            self._rehearse()

    def hit(self, node: N) -> None:
        """Note a read: a comparison of two integers, and some more for the first in a tick."""
        queues = self._queues
        if node.seen != queues.now:
            node.seen = queues.now
            state = node.state
            if state & HITS != HITS:
                node.state = state + 1
            if state & SAMPLED:
                self._asked.append(node.key)

    def update(self, node: N, cost: int, priority: int) -> None:
        """Note that an entry was replaced."""
        self._queues.update(node, cost, priority)

    def remove(self, node: N) -> None:
        """Forget an entry, but not that it was there: what expired and is loaded again goes on where it was."""
        self._queues.remove(node)
        if node.sampled:
            self._sampled.pop(node.mark, None)

    def victim(self) -> N:
        """Give up the entry that is worth least."""
        entries = self._queues.items
        if entries > 2 * self._planned or (4 * entries < self._planned and self._planned > self._sample):
            self._plan()
        if self._rehearsals is None:
            self._rehearsals = self._fresh_rehearsals()
        node = self._queues.victim()
        if node.sampled:
            self._sampled.pop(node.mark, None)
        return node

    def resize(self, max_items: int, max_cost: int) -> None:
        """Take new limits."""
        self._queues.max_items = max_items
        self._queues.max_cost = max_cost

    def statistics(self) -> EvictionStatistics:
        """How it stands."""
        queues = self._queues
        return EvictionStatistics(
            algorithm="adaptive",
            entries=queues.items,
            cost=queues.cost,
            window=queues.stance.window,
            probation=sum(level.probation.items for level in queues.levels),
            ghosts=len(queues.ghosts),
            rehearsed=len(self._rehearsals) if self._rehearsals else 0,
        )

    def _plan(self) -> None:
        """Size the ghosts for the entries that there are: known only now that there is no room for more.

        The old ghosts are dropped; to move them would take longer than a request may wait.
        """
        entries = self._queues.items
        if entries < self._planned:
            self._sample_below(min(WIDEST, self._sampled_below * 2))
        self._planned = entries
        self._queues.ghosts = Ghosts(GHOSTS * entries)

    def _sample_below(self, mark: int) -> None:
        self._sampled_below = mark
        for beyond in [sampled for sampled in self._sampled if sampled >= mark]:
            self._sampled.pop(beyond).state &= ~SAMPLED
        self._rehearsals = None

    def _rehearse(self) -> None:
        rehearsals = self._rehearsals
        if rehearsals is not None and rehearsals.play([mark_of(key) for key in self._asked], len(self._sampled)):
            self._queues.take(rehearsals.chosen)
        self._asked.clear()

    def _fresh_rehearsals(self) -> Rehearsals:
        rehearsals = Rehearsals(STANCES, self._queues.stance, max(2, len(self._sampled)))
        rehearsals.warm(list(self._sampled))
        self._asked.clear()
        return rehearsals
