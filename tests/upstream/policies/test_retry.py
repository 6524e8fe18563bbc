from __future__ import annotations

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from gateway.errors import UpstreamError, UpstreamNotAsked, UpstreamNotFound, UpstreamUnavailable
from gateway.upstream.policies.retry import AskedToWait, pauses, retrying

DOWN = UpstreamUnavailable("api", "down")


class Asked:
    """Fails as it is told, then answers; remembers when it was asked."""

    def __init__(self, *failures: UpstreamError) -> None:
        self.failures = list(failures)
        self.times: list[float] = []

    async def __call__(self) -> str:
        self.times.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        if self.failures:
            raise self.failures.pop(0)
        return "answer"

    @property
    def waits(self) -> list[float]:
        return [round(later - earlier, 6) for earlier, later in zip(self.times, self.times[1:], strict=False)]


@given(st.integers(0, 20), st.floats(0, 60))
def test_pauses_are_drawn_below_a_bound_that_doubles(retries: int, delay: float) -> None:
    """Full jitter: every pause lies between zero and delay, 2 delay, 4 delay…; there are as many as retries."""
    drawn = list(pauses(retries, delay))
    assert len(drawn) == retries
    assert all(0 <= pause <= delay * 2**tries for tries, pause in enumerate(drawn))
    assert list(pauses(retries, delay, lambda _low, high: high)) == [delay * 2**tries for tries in range(retries)]
    assert list(pauses(retries, delay, lambda low, _high: low)) == [0.0] * retries


async def test_unavailable_is_tried_again(autojump_clock: MockClock) -> None:
    """A failure that may pass is tried again after each pause."""
    ask = Asked(DOWN, DOWN)
    assert await retrying(ask, iter([1.0, 2.0, 4.0])) == "answer"
    assert ask.waits == [1.0, 2.0]


async def test_the_last_failure_is_raised_when_the_tries_are_used_up(autojump_clock: MockClock) -> None:
    """With no pause left the caller gets the failure itself."""
    ask = Asked(DOWN, DOWN, UpstreamUnavailable("api", "still down"))
    with pytest.raises(UpstreamUnavailable, match="still down"):
        await retrying(ask, iter([1.0, 1.0]))


async def test_other_failures_are_final(autojump_clock: MockClock) -> None:
    """What will not pass is not tried again."""
    ask = Asked(UpstreamNotFound("api", "no such document"))
    with pytest.raises(UpstreamNotFound):
        await retrying(ask, iter([1.0, 1.0]))
    assert ask.waits == []


async def test_a_pause_beyond_the_deadline_is_not_slept(autojump_clock: MockClock) -> None:
    """Where the next try could only come too late, the failure is raised at once."""
    ask, start = Asked(DOWN, DOWN), trio.current_time()
    with trio.fail_after(5), pytest.raises(UpstreamUnavailable, match="down"):
        await retrying(ask, iter([1.0, 10.0]))
    assert trio.current_time() - start == pytest.approx(1.0)


async def test_retry_after_is_honoured_when_it_fits(autojump_clock: MockClock) -> None:
    """The upstream's own wish counts when it is longer than the pause, and ends the tries when it is too long."""
    ask = Asked(AskedToWait("api", "busy", 7.0), AskedToWait("api", "busy", 60.0))
    with trio.fail_after(30), pytest.raises(AskedToWait):
        await retrying(ask, iter([1.0, 1.0, 1.0]))
    assert ask.waits == [7.0]


async def test_a_retry_that_is_not_worthwhile_is_not_waited_for(autojump_clock: MockClock) -> None:
    """Who knows more than the schedule is asked with the pause, before it."""
    ask, start = Asked(DOWN, DOWN), trio.current_time()
    with pytest.raises(UpstreamUnavailable, match="down"):
        await retrying(ask, iter([1.0, 10.0]), lambda pause: pause < 10)
    assert trio.current_time() - start == pytest.approx(1.0)


async def test_a_try_that_is_not_sent_is_the_last(autojump_clock: MockClock) -> None:
    """The failure before it says more; without one it speaks for itself."""
    refused = UpstreamNotAsked("api", "not asked")
    ask = Asked(DOWN, refused)
    with pytest.raises(UpstreamUnavailable, match="down"):
        await retrying(ask, iter([1.0, 1.0, 1.0]))
    assert ask.waits == [1.0]
    with pytest.raises(UpstreamNotAsked):
        await retrying(Asked(refused), iter([1.0]))


async def test_cancelling_ends_the_pause(autojump_clock: MockClock) -> None:
    """A caller that goes away does not ask again."""
    ask = Asked(DOWN, DOWN)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(retrying, ask, iter([100.0]))
        await trio.sleep(1.0)
        nursery.cancel_scope.cancel()
    assert len(ask.times) == 1
