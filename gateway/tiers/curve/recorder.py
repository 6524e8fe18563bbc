"""What a tier tells of its requests, and how the curve is made of it.

It rests on three ideas, each of which saves what the others cost:

- Miniature simulations of the real eviction policy, on keys sampled by their hash (see `twin`). All keys are taken
  while they are few, fewer and fewer as they get many, so the memory is bounded (SHARDS, Waldspurger et al., FAST
  2015: fixed size, adaptive threshold).
- Only the difference to the present size is simulated: `rate(f) = rate + (twin(f) - twin(1))`. What the tier really
  does is counted anyway, and what hits or misses in both twins cancels out: popular keys that happen to be in the
  sample or not, entries that expired, failed loads. It is what makes small samples good enough.
- Reads of an entry within a tick count as one. A tick ends when a tenth of what the smallest twin holds has been
  replaced there. What was read in this tick is a hit at any size and its place in the order is nearly right, so a hit
  costs a comparison of two integers; and where nothing is replaced, nothing at all has to be played.

Left: a stack of reuse distances as in SHARDS, which is a little cheaper and only right for LRU with one priority.

What counts as a hit is what the tier counts as one: it had an entry, fresh or stale, that may still be used. Each twin
knows until when. A purge by key reaches every twin; one by tag or pattern only what the tier itself has: a larger one
is taken to have kept the rest, so after such purges it looks a little better than it would be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from gateway.tiers.curve.budget import Budget
from gateway.tiers.curve.model import FACTORS, Curve, CurvePoint
from gateway.tiers.curve.tally import Tally
from gateway.tiers.curve.twin import OrderOf, Twin
from gateway.tiers.eviction.policy import mark_of

ALL = 1 << 32
"""Marks below this: every key."""

NEVER = 1 << 62
"""A tick that does not come: the entry's key is not in the sample."""

ENTRIES = 9_000
"""Most entries of all twins together: 2 MB."""

SHRINK = 0.75
"""How many of the sampled keys stay when there are too many entries."""

FEWEST = 150
"""Entries of the smallest twin below which the sample is not made smaller to save work: pauses do less harm then."""

TICKS = 10
"""Ticks while as many entries are replaced in the smallest twin as it holds. With 50, curves are the same to 0.002."""

BATCH = 64
"""Most requests that are played in one go: a fraction of a millisecond."""

WARMING = 1024
"""Plays after a pause that are not counted, a quarter of those that there are at least."""


class Meter(Protocol):
    """Counts all requests to the tier."""

    hits: int
    misses: int


class Recorder:
    """Plays a tier's requests at several sizes at once.

    `order` makes the tier's eviction policy, `fill` is how full the tier is when it is full, and `price` what a play
    costs as a multiple of one with the cheapest policy. The tier asks `noted < tick` of each hit, with `noted` kept for
    each entry, and calls `hit` when that is so.
    """

    def __init__(
        self,
        order: OrderOf,
        meter: Meter,
        max_items: int,
        max_size: int,
        *,
        factors: Sequence[float] = FACTORS,
        fill: float = 1.0,
        price: float = 1.0,
    ) -> None:
        self.tick = 1
        """Entries noted in it need not be told of again. 0 while nothing is looked at."""
        self._running = 1
        self._meter = meter
        self._factors = tuple(sorted(factors))
        self._max_items, self._max_size, self._fill = max_items, max_size, fill
        self._below = ALL
        self._part = 1.0
        """The part of the keys whose marks are below that: of those known, when the sample was made smaller."""
        self._twins = [Twin(factor, order, *self._room(factor)) for factor in sorted({*factors, 1.0})]
        self._present = next(twin for twin in self._twins if twin.factor == 1.0)
        self._asked: list[tuple[int, float, int, int, float, bool]] = []
        self._batch = 4
        self._replaced = 0
        self._budget = Budget(price)
        self._warming = 0
        """Plays after a pause that do not count yet: the twins still have what was asked for before it."""
        self._tally = Tally(len(self._twins), meter.hits, meter.misses)

    def hit(self, key: str, now: float, cost: int, priority: int, expires: float) -> int:
        """Note that the tier had `key`; the tick up to which it need not be told again."""
        mark = mark_of(key)
        if mark >= self._below:
            return NEVER
        tick = self._running
        self._asked.append((mark, now, cost, priority, expires, True))
        if len(self._asked) >= self._batch:
            self._settle(now)
        return tick

    def miss(self, key: str, now: float) -> None:
        """Note that the tier had nothing for `key`, and what it has from then on."""
        mark = mark_of(key)
        if self._budget.paused:
            self._settle(now)
        elif mark < self._below:
            self._asked.append((mark, now, 0, 0, now, True))
            if len(self._asked) >= self._batch:
                self._settle(now)

    def put(self, key: str, now: float, cost: int, priority: int, expires: float) -> int:
        """Note that `key` was put into the tier; the tick up to which it need not be told."""
        mark = mark_of(key)
        if mark >= self._below:
            return NEVER
        if not self._budget.paused:
            self._asked.append((mark, now, cost, priority, expires, False))
            if len(self._asked) >= BATCH:  # what is put without having been asked for, such as an import
                self._settle(now)
        return self._running

    def purge(self, keys: Iterable[str] | None) -> None:
        """Note that `keys`, or all there were, are gone from the tier."""
        self._play()
        gone = None if keys is None else [f"{mark_of(key):08x}" for key in keys]
        for twin in self._twins:
            twin.forget_all(twin.kept() if gone is None else gone)

    def resize(self, max_size: int, max_items: int) -> None:
        """Start counting again, for other limits."""
        self._play()
        self._max_items, self._max_size = max_items, max_size
        self._fit()
        self._tally = Tally(len(self._twins), self._meter.hits, self._meter.misses)
        if self._budget.paused or self._warming:
            self._tally.watch(self._meter.hits, self._meter.misses, on=False)

    def curve(self, now: float) -> Curve:
        """The curve up to `now`."""
        self._settle(now)
        rates = self._tally.rates(self._meter.hits, self._meter.misses, self._twins.index(self._present))
        points = tuple(
            CurvePoint(twin.factor, round(self._max_size * twin.factor), rate)
            for twin, rate in zip(self._twins, rates, strict=True)
            if twin.factor in self._factors
        )
        accesses, watched = self._tally.extent(self._meter.hits, self._meter.misses)
        return Curve(points, accesses, self._part, watched)

    def _settle(self, now: float) -> None:
        """Play what was told, and see whether to go on; bounded by the batch."""
        hits, misses = self._meter.hits, self._meter.misses
        was_paused = self._budget.paused
        plays = self._play()
        self._budget.settle(plays, hits, misses, now)
        if self._budget.paused and not was_paused and self._can_shrink():
            while self._can_shrink():
                self._shrink()
            self._budget.extend()
        if self._budget.paused != was_paused:
            self._warming = WARMING if was_paused else 0
            self._tally.watch(hits, misses, on=False)
            self._running += 1
        elif self._warming and self._warming <= plays:
            self._warming = 0
            self._tally.watch(hits, misses, on=True)
        else:
            self._warming = max(0, self._warming - plays)
        self.tick = 0 if self._budget.paused else self._running
        self._tally.fade(hits, misses)

    def _play(self) -> int:
        asked, twins = self._asked, self._twins
        had = [0] * len(twins)
        for mark, now, cost, priority, expires, read in asked:
            key = f"{mark:08x}"
            if not read:
                again = self._present.has(key, now)
                for twin in twins:
                    # A larger one that had it would have loaded nothing now: it keeps what it has, and until when.
                    if again or not twin.has(key, now):
                        twin.put(key, cost, priority, expires, now)
                continue
            for index, twin in enumerate(twins):
                if twin.ask(key, now):
                    had[index] += 1
                elif cost:  # the tier had it; this one would have loaded it now
                    twin.put(key, cost, priority, expires, now)
                    self._replaced += index == 0
                elif index == 0:
                    self._replaced += 1
        plays = len(asked)
        asked.clear()
        if not self._warming:
            self._tally.add(had, 1 / self._part)
        if sum(map(len, twins)) > ENTRIES:
            self._shrink()
        self._turn()
        return plays

    def _can_shrink(self) -> bool:
        return len(self._twins[0]) * SHRINK >= FEWEST

    def _shrink(self) -> None:
        self._below = int(self._below * SHRINK)
        known = self._twins[-1].kept()
        staying = sum(int(key, 16) < self._below for key in known)
        self._part *= staying / len(known) if staying else SHRINK
        self._fit()

    def _turn(self) -> None:
        tick = len(self._twins[0]) / TICKS
        if self._replaced >= tick:
            self._replaced = 0
            self._running += 1
            self._batch = max(4, min(BATCH, int(tick)))

    def _fit(self) -> None:
        for twin in self._twins:
            twin.forget_all([key for key in twin.kept() if int(key, 16) >= self._below])
            twin.resize(*self._room(twin.factor))

    def _room(self, factor: float) -> tuple[int, int]:
        part = factor * self._part
        return max(1, round(self._max_items * part)), max(1, round(self._max_size * self._fill * part))
