"""Small simulations that find the stance that fits the present requests."""

from __future__ import annotations

from gateway.tiers.eviction.policy import Node
from gateway.tiers.eviction.queues import Queues, Stance

PERIOD = 1.0
"""Requests of sampled keys after which the stances are compared, as a multiple of the entries of a simulation."""

MEMORY = 0.85
"""Weight of what was learnt up to the last comparison; it fades within some ten periods."""

MARGIN = 0.003
"""By how much another stance's hit ratio must be better, so that chance alone does not change it."""

YOUNG = 8
"""Comparisons in which only an overwhelming advantage counts: the plays begin without ghosts, which favours recency."""

OVERWHELMING = 0.05
"""By how much a hit ratio must be better that soon. A loop or a flood of answers asked for twice shows at once."""


class Sample(Node):
    """A key in a simulation: of cost 1, and known by its mark alone."""

    __slots__ = ("_mark",)

    def __init__(self, mark: int) -> None:
        super().__init__("", cost=1)
        self._mark = mark

    @property
    def mark(self) -> int:
        """What it is known by."""
        return self._mark


class Rehearsal:
    """One stance, played by a cache without payloads that is as small as the sample of keys that it sees."""

    __slots__ = ("_nodes", "_queues", "hits", "room", "score")

    def __init__(self, stance: Stance, room: int) -> None:
        self._queues: Queues[Sample] = Queues(stance, room, room, levels=1, ghosts=2 * room)
        self._nodes: dict[int, Sample] = {}
        self.room = room
        self.hits = 0
        self.score = 0.0

    def __len__(self) -> int:
        """How many entries it has."""
        return len(self._nodes)

    def play(self, marks: list[int]) -> None:
        """Ask for the keys of `marks`, one after the other."""
        nodes, queues = self._nodes, self._queues
        queues.max_items = queues.max_cost = self.room
        for mark in marks:
            node = nodes.get(mark)
            if node is not None:
                self.hits += 1
                queues.touch(node)
                continue
            nodes[mark] = node = Sample(mark)
            queues.admit(node, mark)
            while queues.items > self.room:
                del nodes[queues.victim().mark]


class Rehearsals:
    """All stances, side by side on the same sample of keys: none has to be tried on the cache itself to be judged."""

    def __init__(self, stances: tuple[Stance, ...], chosen: Stance, room: int) -> None:
        self.chosen = chosen
        self._stances = stances
        self._plays = [Rehearsal(stance, room) for stance in stances]
        self._requests = 0
        self._remembered = 0.0
        self._comparisons = 0

    def __len__(self) -> int:
        """How many entries they have, all together."""
        return sum(len(rehearsal) for rehearsal in self._plays)

    def warm(self, marks: list[int]) -> None:
        """Begin with the entries that the cache has, so that the first comparison need not wait until all are full."""
        for rehearsal in self._plays:
            rehearsal.play(marks)
            rehearsal.hits = 0

    def play(self, marks: list[int], room: int) -> bool:
        """Ask all for the keys of `marks`; whether `chosen` has changed.

        `room` is how many sampled entries the cache has: a sample with more than its share of the keys gets more room.
        """
        for rehearsal in self._plays:
            rehearsal.play(marks)
        self._requests += len(marks)
        if self._requests < PERIOD * self._plays[0].room:
            return False
        return self._compare(max(2, room))

    def _compare(self, room: int) -> bool:
        self._remembered = self._remembered * MEMORY + self._requests
        self._requests = 0
        for rehearsal in self._plays:
            rehearsal.score = rehearsal.score * MEMORY + rehearsal.hits
            rehearsal.hits = 0
            rehearsal.room = room
        scores = {stance: rehearsal.score for stance, rehearsal in zip(self._stances, self._plays, strict=True)}
        best = max(scores, key=scores.__getitem__)
        self._comparisons += 1
        margin = MARGIN if self._comparisons > YOUNG else OVERWHELMING
        if scores[best] - scores[self.chosen] <= 1 + margin * self._remembered:
            return False
        self.chosen = best
        return True
