from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from gateway.errors import UpstreamInvalid, UpstreamNotAsked, UpstreamNotFound, UpstreamRejected, UpstreamUnavailable
from gateway.profile.upstreams.policies import Breaker
from gateway.upstream.policies.breaker import CircuitBreaker
from gateway.upstream.policies.retry import AskedToWait

DOWN = UpstreamUnavailable("api", "down")
NEVER = float("inf")


def breaker_of(**more: Any) -> CircuitBreaker:
    table = {"failures": 3, "window": "10s", "ejection": "1s", "max_ejection": "5s", **more}
    return CircuitBreaker("api", Breaker.model_validate(table))


def ask(breaker: CircuitBreaker, error: BaseException | None = None) -> None:
    """One request that ends at once, with `error` if there is one."""
    try:
        with breaker.watching(NEVER):
            if error is not None:
                raise error
    except type(error or Exception()) as raised:
        if raised is not error:
            raise


def trip(breaker: CircuitBreaker, failures: int = 3) -> None:
    for _ in range(failures):
        ask(breaker, DOWN)
    assert not breaker.closed


def sentence(breaker: CircuitBreaker) -> str:
    """What is said to one who is refused, without the upstream's name."""
    with pytest.raises(UpstreamNotAsked) as refused:
        breaker.check(trio.current_time())
    with pytest.raises(UpstreamNotAsked, match=r"^api: ") as again:
        ask(breaker)
    assert str(again.value) == str(refused.value)
    return refused.value.message


async def test_failures_in_a_row_open_it(autojump_clock: MockClock) -> None:
    """An answer between them does not let them be in a row; the sentence says why, until when, and the key."""
    breaker = breaker_of()
    for error in (DOWN, DOWN, None, DOWN, DOWN):
        ask(breaker, error)
    assert breaker.closed
    ask(breaker, UpstreamUnavailable("api", "answered 503"))
    wanted = "not asked for 1s more, since 3 requests in a row failed (upstreams.api.breaker.failures), the last: "
    assert sentence(breaker) == wanted + "answered 503"
    await trio.sleep(0.75)
    assert sentence(breaker).startswith("not asked for 200ms more, since ")


async def test_a_rate_of_failures_opens_it(autojump_clock: MockClock) -> None:
    """From `min_requests` within the window on, however the failures are mixed with answers."""
    breaker = breaker_of(failures=100, failure_rate="50%", min_requests=8)
    for _ in range(3):
        ask(breaker, DOWN)
        ask(breaker)
    ask(breaker, DOWN)
    assert breaker.closed  # seven so far
    ask(breaker, DOWN)
    assert sentence(breaker) == (
        "not asked for 1s more, since within 10s 62% of 8 requests failed (upstreams.api.breaker.failure_rate), "
        "the last: down"
    )


async def test_the_window_slides(autojump_clock: MockClock) -> None:
    """What is longer ago than the window does not count, and is not remembered."""
    breaker = breaker_of(failures=100, failure_rate="50%", min_requests=4)
    for _ in range(20):
        ask(breaker, DOWN)
        ask(breaker)
        ask(breaker)
        await trio.sleep(11)
    assert breaker.closed
    assert breaker.statistics(trio.current_time()).requests == 0


@pytest.mark.parametrize("kind", [UpstreamNotFound, UpstreamRejected, UpstreamInvalid])
async def test_an_answer_that_says_no_is_an_answer(autojump_clock: MockClock, kind: Any) -> None:
    """Not found, refused, unusable: the upstream is there, however often, and it closes a breaker that is half open."""
    breaker = breaker_of()
    for _ in range(10):
        ask(breaker, kind("api", "no"))
    assert breaker.closed
    trip(breaker)
    await trio.sleep(1)
    ask(breaker, kind("api", "no"))
    assert breaker.closed


@pytest.mark.parametrize("error", [RuntimeError("ours"), KeyboardInterrupt()])
async def test_a_mistake_of_ours_says_nothing_about_the_upstream(
    autojump_clock: MockClock, error: BaseException
) -> None:
    """It is neither a failure nor an answer."""
    breaker = breaker_of()
    for _ in range(10):
        ask(breaker, error)
    assert breaker.statistics(trio.current_time()).requests == 0


async def test_one_request_finds_out(autojump_clock: MockClock) -> None:
    """After the ejection one request is let through, the others are refused until it has its answer, then all go."""
    breaker = breaker_of()
    trip(breaker)
    await trio.sleep(1)
    with breaker.watching(NEVER):
        assert sentence(breaker).startswith(
            "not asked while one request finds out whether it is back, since 3 requests"
        )
    for _ in range(3):
        ask(breaker)
    assert breaker.closed


async def test_the_ejection_grows_and_shrinks(autojump_clock: MockClock) -> None:
    """It doubles each time that it opens again, up to the most; with each window with answers it halves."""
    breaker = breaker_of()
    trip(breaker)
    ejections = []
    for _ in range(5):
        ejections.append(breaker.statistics(trio.current_time()).seconds_left)
        await trio.sleep(ejections[-1])
        ask(breaker, DOWN)
    assert ejections == pytest.approx([1, 2, 4, 5, 5])
    await trio.sleep(5)
    ask(breaker)
    for expected in (5, 2, 1, 1):  # it opens once and has two windows of health in between
        trip(breaker)
        assert breaker.statistics(trio.current_time()).seconds_left == pytest.approx(expected)
        await trio.sleep(expected)
        ask(breaker)
        for _ in range(2):
            await trio.sleep(10)
            ask(breaker)


async def test_an_hour_without_requests_is_no_hour_of_health(autojump_clock: MockClock) -> None:
    """The ejection only shrinks with answers."""
    breaker = breaker_of()
    trip(breaker)
    await trio.sleep(1)
    ask(breaker)
    await trio.sleep(3600)
    trip(breaker)
    assert breaker.statistics(trio.current_time()).seconds_left == pytest.approx(2)


async def test_retry_after_counts(autojump_clock: MockClock) -> None:
    """The upstream's wish lengthens the ejection, within the most."""
    for wish, seconds in ((0.1, 1), (3, 3), (3600, 5)):
        breaker = breaker_of(failures=1)
        ask(breaker, AskedToWait("api", "busy", wish))
        assert breaker.statistics(trio.current_time()).seconds_left == pytest.approx(seconds)


async def test_an_old_answer_closes_nothing(autojump_clock: MockClock) -> None:
    """What was sent while all was well says nothing about the time after."""
    breaker = breaker_of()
    with breaker.watching(NEVER):
        trip(breaker)
    assert not breaker.closed


async def test_an_old_failure_counts_for_nothing(autojump_clock: MockClock) -> None:
    """Sent before it opened, failed after it closed."""
    breaker = breaker_of()

    def old() -> None:
        with breaker.watching(NEVER):
            trip(breaker)
            clock.jump(5)
            ask(breaker)
            raise DOWN

    clock = autojump_clock
    with pytest.raises(UpstreamUnavailable):
        old()
    assert breaker.closed
    assert breaker.statistics(trio.current_time()).failures_in_a_row == 0


async def test_a_cancelled_request_is_no_failure(autojump_clock: MockClock) -> None:
    """Neither in a row, nor as the one that finds out: the next one does."""
    breaker = breaker_of(failures=1)
    with trio.move_on_after(1), breaker.watching(NEVER):
        await trio.sleep_forever()
    assert breaker.closed
    trip(breaker, 1)
    await trio.sleep(1)
    with trio.move_on_after(1), breaker.watching(NEVER):
        await trio.sleep_forever()
    assert breaker.statistics(trio.current_time()).state == "half-open"
    ask(breaker)
    assert breaker.closed


async def test_a_request_that_outlasts_the_deadline_is_a_failure(autojump_clock: MockClock) -> None:
    """It ends by cancellation as well, but the upstream had its time."""
    breaker = breaker_of(failures=1)
    until = trio.current_time() + 1
    with trio.move_on_at(until), breaker.watching(until):
        await trio.sleep_forever()
    assert sentence(breaker).endswith("the last: no answer in time")


async def test_off(autojump_clock: MockClock) -> None:
    """`enabled = false`: whatever fails."""
    breaker = breaker_of(enabled=False)
    for _ in range(1000):
        ask(breaker, DOWN)
    assert breaker.closed


async def test_statistics(autojump_clock: MockClock) -> None:
    """State and counts, for who watches."""
    breaker = breaker_of()
    ask(breaker)
    ask(breaker, DOWN)
    ask(breaker, DOWN)
    now = breaker.statistics(trio.current_time())
    assert (now.state, now.trips, now.failures_in_a_row, now.requests, now.failures) == ("closed", 0, 2, 3, 2)
    ask(breaker, DOWN)
    now = breaker.statistics(trio.current_time())
    assert (now.state, now.trips, now.seconds_left) == ("open", 1, 1.0)


@given(st.lists(st.tuples(st.sampled_from(["answer", "failure", "cancelled"]), st.floats(0, 4)), max_size=100))
def test_an_open_breaker_sends_nothing_and_never_stays_open(steps: list[tuple[str, float]]) -> None:
    """Whatever happens: while it is open nothing is sent, and an answer later it is closed."""

    async def main() -> None:
        breaker = breaker_of(failures=2, min_requests=3)
        for outcome, pause in steps:
            refused_until = breaker.statistics(trio.current_time()).seconds_left
            try:
                with trio.CancelScope() as scope, breaker.watching(NEVER):
                    assert refused_until == 0
                    if outcome == "failure":
                        raise DOWN
                    if outcome == "cancelled":
                        scope.cancel()
                        await trio.lowlevel.checkpoint()
            except UpstreamNotAsked:
                assert refused_until > 0
            except UpstreamUnavailable:
                pass
            await trio.sleep(pause)
        await trio.sleep(5)
        ask(breaker)
        assert breaker.closed

    trio.run(main, clock=MockClock(autojump_threshold=0))
