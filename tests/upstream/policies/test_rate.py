from __future__ import annotations

import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from gateway.profile.upstreams.policies import RateLimit
from gateway.upstream.policies.rate import TokenBucket


def bucket_of(max_: int, window: float) -> TokenBucket:
    return TokenBucket(RateLimit.model_construct(max=max_, window=window))


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
            nursery.start_soon(_give_up_after, 1.0, bucket)
        await trio.sleep(2.0)
        await bucket.take()
    assert round(trio.current_time() - start, 6) == 10.0


async def _give_up_after(seconds: float, bucket: TokenBucket) -> None:
    with trio.move_on_after(seconds) as scope:
        await bucket.take()
    assert scope.cancelled_caught
