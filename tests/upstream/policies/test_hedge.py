from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from gateway.errors import UpstreamNotFound, UpstreamUnavailable
from gateway.profile.upstreams.policies import Hedge
from gateway.upstream.policies.hedge import Latencies, delay_of, hedged


class Runner:
    """Answers after some time, or fails; remembers when it began and whether it was cancelled."""

    def __init__(self, answer: str | Exception, seconds: float) -> None:
        self.answer = answer
        self.seconds = seconds
        self.began: float | None = None
        self.cancelled = False

    async def __call__(self) -> str:
        self.began = trio.current_time()
        try:
            await trio.sleep(self.seconds)
        except trio.Cancelled:
            self.cancelled = True
            raise
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def __repr__(self) -> str:
        return f"{self.answer!r} after {self.seconds}"


def offer(runner: Runner | None) -> Callable[[], Callable[[], Awaitable[str]] | None]:
    return lambda: runner


def down(what: str) -> UpstreamUnavailable:
    return UpstreamUnavailable("api", what)


async def test_a_quick_answer_needs_no_second_request(autojump_clock: MockClock) -> None:
    """Nor does a failure that comes early: retries are for that."""
    second = Runner("second", 0)
    assert await hedged(Runner("first", 0.9), 1.0, offer(second)) == "first"
    with pytest.raises(UpstreamUnavailable, match="first"):
        await hedged(Runner(down("first"), 0.9), 1.0, offer(second))
    assert second.began is None


async def test_the_first_good_answer_wins(autojump_clock: MockClock) -> None:
    """Whoever gives it; the other one is cancelled, and nobody waits for it."""
    start = trio.current_time()
    slow, quick = Runner("slow", 10.0), Runner("quick", 1.0)
    assert await hedged(slow, 2.0, offer(quick)) == "quick"
    assert slow.cancelled
    assert quick.began == start + 2
    assert trio.current_time() - start == pytest.approx(3.0)
    late = Runner("late", 10.0)
    assert await hedged(Runner("first", 3.0), 2.0, offer(late)) == "first"
    assert late.cancelled


async def test_a_failure_waits_for_the_other(autojump_clock: MockClock) -> None:
    """As long as one is under way there may be an answer; if both fail, the first one's failure counts."""
    assert await hedged(Runner(down("first"), 3.0), 2.0, offer(Runner("second", 5.0))) == "second"
    assert await hedged(Runner("first", 9.0), 2.0, offer(Runner(down("second"), 1.0))) == "first"
    for seconds in (2.5, 5.0):
        with pytest.raises(UpstreamUnavailable, match="first"):
            await hedged(Runner(down("first"), seconds), 2.0, offer(Runner(down("second"), 1.0)))


async def test_an_answer_that_says_no_is_an_answer(autojump_clock: MockClock) -> None:
    """It is raised as it is, without a group around it."""
    slow = Runner("slow", 10.0)
    with pytest.raises(UpstreamNotFound, match="none"):
        await hedged(slow, 1.0, offer(Runner(UpstreamNotFound("api", "none"), 1.0)))
    assert slow.cancelled


async def test_where_there_may_be_no_second_request(autojump_clock: MockClock) -> None:
    """The first one is waited for."""
    assert await hedged(Runner("first", 10.0), 1.0, offer(None)) == "first"


async def test_cancelling_cancels_both(autojump_clock: MockClock) -> None:
    """A caller that goes away leaves nothing behind."""
    first, second = Runner("first", 10.0), Runner("second", 10.0)
    with trio.move_on_after(2.0):
        await hedged(first, 1.0, offer(second))
    assert first.cancelled
    assert second.cancelled


@given(st.floats(0, 5), st.floats(0, 5), st.booleans(), st.booleans())
def test_the_earliest_answer_is_given(one: float, other: float, first_fails: bool, second_fails: bool) -> None:
    """Whatever the times: an answer if there is one, as soon as there is one."""

    async def main() -> None:
        start = trio.current_time()
        first = Runner(down("first") if first_fails else "first", one)
        second = Runner(down("second") if second_fails else "second", other)
        ends = [(one, "first")] if not first_fails else []
        if one > 1 and not second_fails:
            ends.append((1 + other, "second"))
        try:
            answer = await hedged(first, 1.0, offer(second))
        except UpstreamUnavailable:
            assert not [end for end, _ in ends] or one == 1
        else:
            assert trio.current_time() - start == pytest.approx(min(end for end, _ in ends))
            assert answer in [name for _, name in ends]

    trio.run(main, clock=MockClock(autojump_threshold=0))


# When.


@given(st.lists(st.floats(0, 100), min_size=20, max_size=300), st.floats(0.01, 1))
def test_percentile(seconds: list[float], share: float) -> None:
    """That share of the last hundred answers took no longer, and it is one of their times."""
    latencies = Latencies()
    for second in seconds:
        latencies.add(second)
    last = seconds[-100:]
    found = latencies.percentile(share)
    assert found in last
    assert sum(second <= found for second in last) >= share * len(last) - 1e-6
    assert sum(second < found for second in last) < share * len(last)


def test_too_few_answers_say_nothing() -> None:
    """Until there are twenty, `after` alone counts; then the longer of both."""
    latencies, fixed = Latencies(), Hedge.model_validate({"after": "500ms"})
    section = Hedge.model_validate({"after": "500ms", "percentile": "95%"})
    for _ in range(19):
        latencies.add(2.0)
    assert delay_of(section, latencies) == 0.5
    latencies.add(2.0)
    assert delay_of(section, latencies) == 2.0
    assert delay_of(fixed, latencies) == 0.5
    for _ in range(100):
        latencies.add(0.1)
    assert delay_of(section, latencies) == 0.5
