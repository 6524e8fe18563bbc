from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry.histogram import Histogram
from gateway.telemetry.series import ProcessSample, Sample, Series, TierSample, UpstreamSample, Window


def sample(
    at: float = 0.0,
    seconds: float = 5.0,
    outcomes: Mapping[str, int] | None = None,
    process: ProcessSample | None = None,
    tiers: Mapping[str, TierSample] | None = None,
    upstreams: Mapping[str, UpstreamSample] | None = None,
    durations: tuple[float, ...] = (),
) -> Sample:
    timings = Histogram()
    for duration in durations:
        timings.record(duration)
    return Sample(at, seconds, timings, outcomes or {}, tiers or {}, upstreams or {}, process or ProcessSample())


def test_nothing_sampled_says_nothing() -> None:
    """No rate is 0 or 1 where nothing is known."""
    window = Series(60).window(60)
    assert (window.hit_rate, window.error_rate, window.cpu, window.lag, window.last) == (None, None, None, None, None)
    assert (window.throughput, window.seconds, window.requests.count) == (0.0, 0, 0)


def test_the_hit_rate_is_of_what_can_be_cached() -> None:
    """A stale answer came from the cache; what is passed on, refused or failed says nothing about it."""
    outcomes = {"hit": 6, "stale": 2, "miss": 2, "passed": 100, "refused": 100, "failed": 100}
    assert Window([sample(outcomes=outcomes)]).hit_rate == 0.8


def test_the_error_rate_is_of_all_requests() -> None:
    """What the caller did wrong is no error of the gateway's."""
    assert Window([sample(outcomes={"hit": 6, "refused": 2, "failed": 1, "crashed": 1})]).error_rate == 0.2


def test_samples_of_unequal_length_count_as_long_as_they_are() -> None:
    """Throughput and CPU are means over time, not over samples."""
    short = sample(seconds=1, outcomes={"hit": 10}, process=ProcessSample(cpu=1.0))
    long = sample(seconds=9, process=ProcessSample(cpu=0.0))
    window = Window([short, long])
    assert window.throughput == 1.0
    assert window.cpu == pytest.approx(0.1)


def test_the_lag_is_the_longest() -> None:
    """One long wait is what a caller felt."""
    lags = [sample(process=ProcessSample(lag=lag)) for lag in (0.1, 0.7, 0.2)]
    assert Window(lags).lag == 0.7


def test_tiers_and_upstreams_are_added_up() -> None:
    """Also where one was not there yet in an earlier sample."""
    tier = TierSample(hits=3, misses=1, failed=0, entries=5, size=100, limit=1000, evictions=2)
    timings = Histogram()
    timings.record(0.5)
    upstream = UpstreamSample(timings, {"answered": 1}, requests=1, extra=2)
    window = Window([sample(), *[sample(tiers={"disk": tier}, upstreams={"api": upstream})] * 2])
    assert (window.tier_hit_rate("disk"), window.tier_hit_rate("memory")) == (0.75, None)
    assert (window.evictions("disk"), window.evictions("memory")) == (4, 0)
    assert (window.upstream("api").count, window.upstream("other").count) == (2, 0)
    assert (window.upstream_outcomes("api"), window.upstream_requests("api")) == ({"answered": 2}, (2, 4))


def test_a_window_has_the_newest_sample_however_short_it_is() -> None:
    """And no more than fit, with some room for samples that were taken late."""
    series = Series(100)
    for at in range(5):
        series.add(sample(at=at, seconds=5.01))
    assert [each.at for each in series.window(1).samples] == [4]
    assert [each.at for each in series.window(10).samples] == [3, 4]
    assert len(series.window(1000).samples) == 5


@given(st.lists(st.floats(0.1, 30), max_size=50), st.floats(1, 100))
def test_history_is_kept_and_no_more(lengths: list[float], history: float) -> None:
    """The samples cover the history wherever there were that many, and without the oldest they would not."""
    series = Series(history)
    for at, seconds in enumerate(lengths):
        series.add(sample(at=at, seconds=seconds))
    kept = [each.seconds for each in series]
    assert kept == lengths[len(lengths) - len(kept) :]
    if len(kept) < len(lengths):
        assert sum(kept) >= history - 1e-6
    if len(kept) > 1:
        assert sum(kept[1:]) < history + 1e-6
