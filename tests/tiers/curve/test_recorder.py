from __future__ import annotations

from dataclasses import dataclass

import pytest

from gateway.tiers.curve import Recorder, TwinNode
from gateway.tiers.curve.budget import BURST, EXTENSION, PER_HIT, PER_MISS, PER_SECOND, START, Budget
from gateway.tiers.curve.recorder import BATCH
from gateway.tiers.curve.tally import HISTORY, Tally
from gateway.tiers.eviction import Lru


@dataclass
class Counts:
    hits: int = 0
    misses: int = 0


class Told:
    """A tier of popular entries that all fit, and how often the recorder is told of a read."""

    def __init__(self, factors: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)) -> None:
        self.counts = Counts()
        self.recorder = Recorder(Lru[TwinNode], self.counts, 1000, 10**9, factors=factors)
        self.noted: dict[str, int] = {}
        self.times = 0

    def read(self, key: str) -> None:
        if key not in self.noted:
            self.counts.misses += 1
            self.recorder.miss(key, 1.0)
            self.noted[key] = self.recorder.put(key, 1.0, 1, 0, 1e9)
            return
        self.counts.hits += 1
        if self.noted[key] < self.recorder.tick:
            self.times += 1
            self.noted[key] = self.recorder.hit(key, 1.0, 1, 0, 1e9)


def test_where_nothing_is_replaced_nothing_is_recorded() -> None:
    """Reads of what would be there at half the size, too, cost a comparison and no more."""
    told = Told()
    for number in range(100_000):
        told.read(f"key-{number % 300}")
    assert told.times < 3000


def test_the_work_is_bounded_where_every_read_matters() -> None:
    """Reads in turn of more than half of the entries are looked at for a while, twice: of all keys, then of fewest.

    Then only as far as they pay for it.
    """
    told = Told()
    for number in range(400_000):
        told.read(f"key-{number % 900}")
    assert told.times < START + EXTENSION + 400_000 * PER_HIT + 2 * BATCH
    curve = told.recorder.curve(1.0)
    assert curve.watched < 0.5
    assert [round(point.hit_rate, 2) for point in curve.points] == [0.0, 1.0, 1.0, 1.0]


def test_new_limits_in_a_pause_are_not_taken_for_watched() -> None:
    """What is asked for until it goes on says nothing of other sizes; then it does."""
    told = Told()
    for number in range(50_000):
        told.read(f"key-{number % 900}")
    told.recorder.resize(10**9, 1000)
    for number in range(10_000):
        told.read(f"key-{number % 900}")
    assert told.recorder.curve(1.0).watched == 0.0
    told.recorder.curve(1.0 + BURST / PER_SECOND + 1)
    for number in range(20_000):
        told.read(f"key-{number % 900}")
    curve = told.recorder.curve(1.0)
    assert 0.0 < curve.watched < 1.0
    assert curve.points[0].hit_rate == pytest.approx(0.0, abs=0.03)


def test_any_factors_can_be_asked_for() -> None:
    """The sizes are for the caller to say, with or without the present one."""
    points = Told(factors=(3.0, 0.1)).recorder.curve(1.0).points
    assert [point.factor for point in points] == [0.1, 3.0]
    assert [point.size_bytes for point in points] == [10**8, 3 * 10**9]


def test_a_budget_pauses_and_goes_on() -> None:
    """When all is spent there is a pause until enough is saved up again."""
    budget = Budget()
    budget.settle(int(START) + 1, 0, 0, 0.0)
    assert budget.paused
    budget.settle(0, 0, int(BURST / PER_MISS), 0.0)
    assert budget.paused
    budget.settle(0, 0, int(BURST / PER_MISS) + 1, 0.0)
    assert not budget.paused


def test_dearer_plays_are_fewer() -> None:
    """Where a play costs twice as much, half as many are done."""
    budget = Budget(price=2.0)
    budget.settle(int(START / 2), 0, 0, 0.0)
    assert not budget.paused
    budget.settle(1, 0, 0, 0.0)
    assert budget.paused


def test_time_pays_as_well() -> None:
    """A quiet tier looks at everything."""
    budget = Budget()
    budget.settle(int(START) + 1, 0, 0, 0.0)
    budget.settle(0, 0, 0, BURST / PER_SECOND + 1)
    assert not budget.paused


def test_old_requests_fade() -> None:
    """After millions of requests all counts are halved, so that a change of the requests shows."""
    tally = Tally(2, 0, 0)
    tally.add([HISTORY // 2, HISTORY], 1.0)
    tally.fade(HISTORY // 2, HISTORY // 2)
    assert tally.extent(HISTORY // 2, HISTORY // 2) == (HISTORY // 2, 1.0)
    assert tally.rates(HISTORY // 2, HISTORY // 2, present=0) == pytest.approx([0.5, 1.0])


def test_pauses_are_left_out_of_the_difference() -> None:
    """What the twins had is compared with the requests in which they played, not with all."""
    tally = Tally(2, 0, 0)
    tally.add([50, 70], 1.0)
    tally.watch(50, 50, on=False)
    assert tally.rates(600, 400, present=0) == pytest.approx([0.6, 0.8])
    assert tally.extent(600, 400) == (1000, 0.1)


def test_a_loss_is_a_part_of_the_hits() -> None:
    """A twin that had half of what the tier had, while it filled up, is taken to have half of it ever after."""
    tally = Tally(2, 0, 0)
    tally.add([20, 10], 1.0)
    tally.watch(20, 80, on=False)
    assert tally.rates(920, 80, present=0) == pytest.approx([0.92, 0.46])
