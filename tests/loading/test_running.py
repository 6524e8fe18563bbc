"""Closed and open loops on the mock clock."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from gateway.loading.mix import uniform_mix
from gateway.loading.model import NOT_SENT, REFUSED, TIMEOUT, Reply
from gateway.loading.result import Result, result_of
from gateway.loading.running import LoadTest
from gateway.profile.load import Load
from tests.fakes.load_target import FakeTarget

MIX = uniform_mix([("t", {})])


def quickly(_now: float) -> float:
    return 0.01


def stalling(now: float) -> float:
    """A server that answers in 10 ms, but not at all from the fifth second to the fifteenth."""
    return 0.01 if not 5 <= now < 15 else 15.01 - now


async def loaded(target: FakeTarget, **load: Any) -> Result:
    """The result of a test with these settings; the clock begins at 0."""
    test = LoadTest(target, MIX, Load.model_validate(load))
    await test.run()
    return result_of(test.tally, test.counted_seconds)


async def test_closed_loop(autojump_clock: trio.testing.MockClock) -> None:
    """Each connection asks as soon as it is answered, one request at a time."""
    target = FakeTarget(quickly)
    result = await loaded(target, connections=4, duration="10s")
    assert target.most == 4
    assert result.all.requests == pytest.approx(4000, abs=8)
    assert result.rate == pytest.approx(400, rel=0.01)
    assert result.all.latency.p99 == pytest.approx(0.01)


async def test_delay(autojump_clock: trio.testing.MockClock) -> None:
    """With a delay, a connection waits between an answer and its next request."""
    target = FakeTarget(quickly)
    await loaded(target, connections=1, duration="10s", delay="90ms")
    assert target.asked[1] - target.asked[0] == pytest.approx(0.1)


async def test_requests(autojump_clock: trio.testing.MockClock) -> None:
    """A number of requests is made exactly, however many connections share it."""
    for settings in ({"connections": 7}, {"connections": 7, "rate": 50.0}):
        target = FakeTarget(quickly)
        result = await loaded(target, requests=100, **settings)
        assert len(target.asked) == result.all.requests == 100


async def test_ramp_of_connections(autojump_clock: trio.testing.MockClock) -> None:
    """In a closed loop, connections are opened over the ramp."""
    target = FakeTarget(quickly)
    began = trio.current_time()
    await loaded(target, connections=4, duration="10s", ramp="8s")
    assert [at - began for at in target.opened] == pytest.approx([0, 2, 4, 6])


async def test_ramp_of_the_rate(autojump_clock: trio.testing.MockClock) -> None:
    """In an open loop, the rate rises: half as many in the ramp as in as much time after it."""
    target = FakeTarget(quickly)
    began = trio.current_time()
    await loaded(target, connections=10, duration="20s", ramp="10s", rate=100.0)
    within = sum(at - began < 10 for at in target.asked)
    assert within == pytest.approx(500, abs=2)
    assert len(target.asked) - within == pytest.approx(1000, abs=2)


async def test_a_closed_loop_hides_a_stall(autojump_clock: trio.testing.MockClock) -> None:
    """Ten seconds of thirty without an answer are one slow request of two thousand: even p99 knows nothing of it."""
    result = await loaded(FakeTarget(stalling), connections=1, duration="30s")
    assert result.all.latency.max == pytest.approx(10, rel=0.01)
    assert result.all.latency.p99 < 0.02


async def test_an_open_loop_tells_of_it(autojump_clock: trio.testing.MockClock) -> None:
    """The same server at the same pace: a third of the requests were due in the stall, and waited for its end."""
    result = await loaded(FakeTarget(stalling), connections=1, duration="30s", rate=50.0)
    latency = result.all.latency
    assert result.all.requests == 1500
    assert latency.p50 < 10
    assert latency.p90 > 5
    assert latency.p99 > 9


async def test_what_is_due_waits_for_a_connection(autojump_clock: trio.testing.MockClock) -> None:
    """Where the server is slower than the rate, latency grows with the queue, though each answer takes as long."""
    result = await loaded(FakeTarget(lambda _: 0.1), connections=1, requests=100, rate=20.0)
    assert result.all.latency.max == pytest.approx(5.05, rel=0.02)


async def test_not_sent(autojump_clock: trio.testing.MockClock) -> None:
    """A request for which no connection comes free within the timeout has failed, and its wait counts."""
    result = await loaded(FakeTarget(lambda _: 0.9), connections=1, duration="10s", rate=10.0, timeout="1s")
    assert result.all.requests == 100
    assert result.errors[NOT_SENT] > 80
    assert result.all.latency.p90 >= 1


async def test_timeout(autojump_clock: trio.testing.MockClock) -> None:
    """A request that is not answered within the timeout is given up, and the connection goes on."""
    target = FakeTarget(lambda now: 100.0 if now < 5 else 0.01)
    result = await loaded(target, connections=1, duration="10s", timeout="2s")
    assert result.errors == {TIMEOUT: 3}
    assert result.all.succeeded > 300
    assert target.under_way == 0


async def test_warm_up(autojump_clock: trio.testing.MockClock) -> None:
    """What is asked in the warm-up does not count, nor does its time."""
    target = FakeTarget(lambda now: 1.0 if now < 4 else 0.01)
    result = await loaded(target, connections=1, duration="10s", warm_up="5s")
    assert result.all.latency.max < 0.02
    assert result.seconds == pytest.approx(5, abs=0.02)
    assert result.all.requests < len(target.asked)


async def test_a_refusal_is_no_reason_to_spin(autojump_clock: trio.testing.MockClock) -> None:
    """A connection that is refused is tried ten times a second, not as often as it can be."""
    target = FakeTarget(lambda _: 0.0, lambda _: Reply(0, REFUSED))
    result = await loaded(target, connections=2, duration="10s")
    assert result.errors[REFUSED] == pytest.approx(200, abs=4)
    assert result.all.latency.max == 0


async def test_cut_short(autojump_clock: trio.testing.MockClock) -> None:
    """Cancelled, it has counted what was answered, and leaves nothing under way."""
    target = FakeTarget(quickly)
    test = LoadTest(target, MIX, Load(connections=3, duration="10m"))  # type: ignore[arg-type]  # as TOML has it
    with trio.move_on_after(1):
        await test.run()
    assert test.over
    assert test.elapsed == pytest.approx(1)
    assert test.tally.succeeded == pytest.approx(300, abs=6)
    assert target.under_way == 0
