from __future__ import annotations

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from gateway.errors import UpstreamNotAsked
from gateway.profile.upstreams.policies import RateLimit
from gateway.upstream.policies.rate import ReportedBucket, TokenBucket


def bucket_of(max_: int, window: float) -> TokenBucket:
    return TokenBucket("api", RateLimit.model_construct(max=max_, window=window))


@given(
    st.integers(1, 20),
    st.floats(0.01, 3600),
    st.lists(st.floats(0, 100), min_size=1, max_size=200),
)
def test_no_interval_has_more_than_a_full_bucket_and_its_refill(max_: int, window: float, waits: list[float]) -> None:
    """Whatever the arrivals, the tokens taken in any interval are at most `max` plus what flows in meanwhile."""
    bucket = bucket_of(max_, window)
    now, taken = 1000.0, []
    for wait in waits:
        now += wait
        if bucket.take_nowait(now) == now:
            taken.append(now)
    for first, start in enumerate(taken):
        for last in range(first, len(taken)):
            allowed = max_ + (taken[last] - start) * max_ / window
            assert last - first + 1 <= allowed + 1e-6 * max_


@given(st.integers(1, 50), st.floats(0.01, 3600), st.lists(st.floats(0, 10), max_size=100))
def test_a_token_is_there_at_the_promised_time(max_: int, window: float, waits: list[float]) -> None:
    """The time that a refused taker is told is later than now, and exact: the token can be taken then."""
    bucket = bucket_of(max_, window)
    now = 0.0
    for wait in waits:
        now += wait
        ready = bucket.take_nowait(now)
        if ready != now:
            assert ready > now
            assert bucket.take_nowait(ready) == ready
            now = ready


async def test_takers_are_served_in_order_at_the_rate(autojump_clock: MockClock) -> None:
    """A burst of `max` goes at once; the rest follow evenly, first come, first served."""
    bucket = bucket_of(2, 1.0)
    served: list[tuple[int, float]] = []
    start = trio.current_time()

    async def taker(number: int) -> None:
        await bucket.take()
        served.append((number, round(trio.current_time() - start, 6)))

    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(taker, number)
            await wait_all_tasks_blocked()
    assert served == [(0, 0.0), (1, 0.0), (2, 0.5), (3, 1.0), (4, 1.5)]


async def test_a_cancelled_taker_takes_nothing(autojump_clock: MockClock) -> None:
    """One who gives up while waiting does not delay those behind."""
    bucket = bucket_of(1, 10.0)
    await bucket.take()
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(bucket.take)
        await trio.sleep(1.0)
        assert bucket.waiting == 5
        nursery.cancel_scope.cancel()
    assert bucket.waiting == 0
    await bucket.take()
    assert round(trio.current_time() - start, 6) == 10.0


async def test_a_token_that_comes_too_late_is_not_waited_for(autojump_clock: MockClock) -> None:
    """Refused at once, with those who wait already counted; one that comes just in time is waited for."""
    bucket, start = bucket_of(1, 10.0), trio.current_time()
    await bucket.take()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bucket.take)
        await wait_all_tasks_blocked()
        sentence = r"^api: not asked: its next turn would be in 20s, which is too late \(upstreams\.api\.rate_limit\)$"
        with trio.move_on_after(19.9), pytest.raises(UpstreamNotAsked, match=sentence):
            await bucket.take()
        assert trio.current_time() == start
        assert not bucket.try_take(start + 15)
        with trio.fail_after(20.1):
            await bucket.take()
    assert round(trio.current_time() - start, 6) == 20.0
    assert not bucket.try_take(start + 29.9)
    assert bucket.try_take(start + 30)


@given(st.integers(1, 5), st.lists(st.floats(0, 3), min_size=1, max_size=30))
def test_who_is_let_in_is_served_before_the_deadline(max_: int, patiences: list[float]) -> None:
    """Whatever the deadlines of those ahead, a taker is either refused at once or gets its token in time."""

    async def main() -> None:
        bucket, start = bucket_of(max_, 1.0), trio.current_time()

        async def taker(patience: float) -> None:
            with trio.move_on_after(patience) as scope:
                try:
                    await bucket.take()
                except UpstreamNotAsked:
                    assert trio.current_time() == start
            assert not scope.cancelled_caught

        async with trio.open_nursery() as nursery:
            for patience in patiences:
                nursery.start_soon(taker, patience + 1e-6)

    trio.run(main, clock=MockClock(autojump_threshold=0))


async def test_who_finds_a_token_never_waits(autojump_clock: MockClock) -> None:
    """Not even for the moment in which others may look: what is counted as waiting, waits."""
    bucket, seen = bucket_of(100, 1.0), set()

    async def looking() -> None:
        while True:
            seen.add(bucket.waiting)
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(looking)
        for _ in range(50):
            await bucket.take()
        nursery.cancel_scope.cancel()
    assert seen == {0}


def test_a_reported_bucket_says_what_it_gave_out_and_learns_what_others_did() -> None:
    """Each token is reported once, and what was taken after a report comes on top of what that taught."""
    told: list[ReportedBucket] = []
    bucket = ReportedBucket(RateLimit.model_construct(max=10, window=10.0), "key", told.append)
    assert [bucket.take_nowait(0.0) for _ in range(3)] == [0.0] * 3
    assert told == [bucket] * 3
    assert (bucket.report(), bucket.report()) == (3, 0)
    assert bucket.take_nowait(0.0) == 0.0
    bucket.learn(8.0)
    assert bucket.take_nowait(0.0) == 0.0
    assert bucket.take_nowait(0.0) > 0.0
    assert bucket.report() == 2
