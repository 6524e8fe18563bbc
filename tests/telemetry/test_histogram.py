from __future__ import annotations

import itertools
import math
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry.histogram import BOUNDS, EXPOSED, Histogram, Summary, combined

DURATIONS = st.lists(st.floats(0, 2000), max_size=60)


def of(durations: list[float]) -> Histogram:
    histogram = Histogram()
    for duration in durations:
        histogram.record(duration)
    return histogram


def test_an_empty_one_is_all_zero() -> None:
    """Nothing recorded: no infinity and no division by zero in what is told."""
    assert Histogram().summary() == Summary(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert Histogram().exposed() == [0] * len(EXPOSED)


def test_the_bounds_rise_by_a_seventh_at_most() -> None:
    """What the promise of 15 % rests on."""
    assert all(low < high <= low * 1.15 for low, high in itertools.pairwise(BOUNDS))
    assert set(EXPOSED) <= set(BOUNDS)


def test_a_bound_belongs_to_its_bucket() -> None:
    """Prometheus counts what is at most the bound."""
    histogram = of([0.001])
    assert histogram.exposed()[EXPOSED.index(0.001)] == 1
    assert histogram.exposed()[EXPOSED.index(0.001) - 1] == 0


def test_what_is_longer_than_every_bound_is_counted() -> None:
    """It is in no bucket that leaves the process, but in the count; its percentile is at most the longest."""
    histogram = of([5000.0])
    assert (histogram.exposed()[-1], histogram.count, histogram.percentile(0.99)) == (0, 1, 5000.0)


@given(DURATIONS.filter(bool))
def test_count_sum_mean_and_ends_are_exact(durations: list[float]) -> None:
    """Only percentiles are estimates."""
    summary = of(durations).summary()
    assert (summary.count, summary.min, summary.max) == (len(durations), min(durations), max(durations))
    assert summary.sum == pytest.approx(math.fsum(durations))
    assert summary.mean == pytest.approx(math.fsum(durations) / len(durations))


@given(DURATIONS.filter(bool), st.floats(0.01, 1.0))
def test_a_percentile_is_in_the_bucket_of_the_exact_one(durations: list[float], share: float) -> None:
    """By the nearest rank; and never outside of what was recorded."""
    exact = sorted(durations)[max(0, math.ceil(share * len(durations) - 1e-9) - 1)]
    found = of(durations).percentile(share)
    place = bisect_left(BOUNDS, exact)
    low = BOUNDS[place - 1] if place else 0.0
    high = BOUNDS[place] if place < len(BOUNDS) else math.inf
    assert low <= found <= high
    assert min(durations) <= found <= max(durations)


@given(DURATIONS.filter(bool))
def test_percentiles_never_fall(durations: list[float]) -> None:
    """The 95th is at least the median, and the 99th at least that."""
    summary = of(durations).summary()
    assert summary.min <= summary.p50 <= summary.p95 <= summary.p99 <= summary.max


@given(DURATIONS)
def test_exposed_buckets_are_cumulative(durations: list[float]) -> None:
    """Each counts all that is at most its bound."""
    assert of(durations).exposed() == [sum(duration <= bound for duration in durations) for bound in EXPOSED]


@given(st.lists(DURATIONS, max_size=4))
def test_combined_is_as_if_recorded_into_one(parts: list[list[float]]) -> None:
    """Whatever the parts, empty ones among them."""
    whole, one = combined(map(of, parts)), of([duration for part in parts for duration in part])
    assert (whole.counts, whole.min, whole.max) == (one.counts, one.min, one.max)
    assert whole.sum == pytest.approx(one.sum)


@given(DURATIONS, DURATIONS)
def test_since_is_what_came_after(before: list[float], after: list[float]) -> None:
    """Counts are exact; the ends are within the bucket of the true ones, and never outside of all that was recorded."""
    histogram = of(before)
    earlier = histogram.copy()
    for duration in after:
        histogram.record(duration)
    part, true = histogram.since(earlier), of(after)
    assert part.counts == true.counts
    assert part.sum == pytest.approx(true.sum, abs=1e-6)
    if after:
        assert part.min <= min(after)
        assert max(after) <= part.max <= max([*before, *after])
        assert bisect_left(BOUNDS, part.max) == bisect_left(BOUNDS, max(after))


@given(DURATIONS)
def test_a_copy_stays_as_it_is(durations: list[float]) -> None:
    """Recording goes on in the original alone, and nothing came since."""
    histogram = of(durations)
    copy = histogram.copy()
    assert histogram.since(copy).summary().count == 0
    histogram.record(1.0)
    assert copy.count == len(durations)


@given(st.lists(st.floats(1e-6, 1000.0), max_size=60))
def test_packed_is_the_same(durations: list[float]) -> None:
    """What is kept in numbers says the same as what it was made of, and adds up with others."""
    histogram = Histogram()
    for seconds in durations:
        histogram.record(seconds)
    packed = histogram.packed()
    assert packed.summary() == histogram.summary()
    assert combined([packed, histogram]).count == 2 * len(durations)


def test_nothing_is_kept_once() -> None:
    """However many samples are empty, they share one that is."""
    assert Histogram().packed() is Histogram().packed()
