from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from gateway.errors import GatewayError, UpstreamUnavailable
from gateway.pipeline.single_flight import SingleFlight


async def test_many_callers_share_one_load(nursery: trio.Nursery, autojump_clock: trio.testing.MockClock) -> None:
    """However many callers wait for a key, its load runs once and all get its result."""
    flights: SingleFlight[int] = SingleFlight(nursery)
    loads = 0
    results = []

    async def load() -> int:
        nonlocal loads
        loads += 1
        await trio.sleep(1)
        return 42

    async def caller() -> None:
        results.append(await flights.run("key", load))

    async with trio.open_nursery() as callers:
        for _ in range(500):
            callers.start_soon(caller)
    assert loads == 1
    assert results == [42] * 500
    assert len(flights) == 0


async def test_a_cancelled_first_caller_takes_nothing_from_the_others(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    """The caller that started the load can go away; the load goes on for those who joined it."""
    flights: SingleFlight[str] = SingleFlight(nursery)
    results = []

    async def load() -> str:
        await trio.sleep(10)
        return "loaded"

    async def joiner() -> None:
        results.append(await flights.run("key", load))

    async with trio.open_nursery() as callers:
        with trio.move_on_after(1) as first:
            callers.start_soon(joiner)
            await flights.run("key", load)
        assert first.cancelled_caught
    assert results == ["loaded"]


async def test_a_load_goes_on_when_nobody_waits_any_more(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    """A load whose last caller left runs to its end, so that the cache gets what was asked for."""
    flights: SingleFlight[None] = SingleFlight(nursery)
    finished = trio.Event()

    async def load() -> None:
        await trio.sleep(5)
        finished.set()

    with trio.move_on_after(1):
        await flights.run("key", load)
    assert len(flights) == 1
    await finished.wait()


async def test_every_waiter_gets_the_loads_error(nursery: trio.Nursery, autojump_clock: trio.testing.MockClock) -> None:
    """A failing load fails everybody who waits for it, with the same error, and the next caller starts anew."""
    flights: SingleFlight[None] = SingleFlight(nursery)
    errors = []

    async def load() -> None:
        await trio.sleep(1)
        raise UpstreamUnavailable("docs", "no answer")

    async def caller() -> None:
        with pytest.raises(UpstreamUnavailable, match="docs: no answer") as caught:
            await flights.run("key", load)
        errors.append(caught.value)

    async with trio.open_nursery() as callers:
        for _ in range(3):
            callers.start_soon(caller)
    assert len(errors) == 3
    assert len(flights) == 0


async def test_a_load_in_its_callers_task(nursery: trio.Nursery, autojump_clock: trio.testing.MockClock) -> None:
    """Others join it as any other; it joins one that is under way; its error is everybody's."""
    flights: SingleFlight[int] = SingleFlight(nursery)
    tasks, results = [], []

    async def load() -> int:
        tasks.append(trio.lowlevel.current_task())
        await trio.sleep(1)
        return len(tasks)

    async def fail() -> int:
        await trio.sleep(1)
        raise UpstreamUnavailable("docs", "no answer")

    async def joiner(load: Callable[[], Awaitable[int]]) -> None:
        await trio.lowlevel.checkpoint()
        try:
            results.append(await flights.run_here("key", load))
        except UpstreamUnavailable:
            results.append(-1)

    for load_, expected in ((load, [1, 1, 1]), (fail, [-1, -1, -1])):
        results.clear()
        async with trio.open_nursery() as callers:
            for _ in range(3):
                callers.start_soon(joiner, load_)
        assert results == expected
    assert await flights.run_here("key", load) == 2
    assert tasks[-1] is trio.lowlevel.current_task()
    assert len(flights) == 0


async def test_different_keys_do_not_wait_for_each_other(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    """Two keys are two loads, under way at the same time."""
    flights: SingleFlight[str] = SingleFlight(nursery)

    async def load_of(key: str) -> str:
        await trio.sleep(1)
        return key

    async with trio.open_nursery() as callers:
        callers.start_soon(flights.run, "a", lambda: load_of("a"))
        callers.start_soon(flights.run, "b", lambda: load_of("b"))
        await trio.testing.wait_all_tasks_blocked()
        assert len(flights) == 2


async def test_start_does_not_wait_and_does_not_start_twice(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    """A background load is started once, and a caller who comes later joins it."""
    flights: SingleFlight[int] = SingleFlight(nursery)

    async def load() -> int:
        await trio.sleep(1)
        return 1

    assert flights.start("key", load) is True
    assert flights.start("key", load) is False
    assert await flights.run("key", load) == 1


async def test_a_load_that_is_cut_off_says_that_the_gateway_closes(autojump_clock: trio.testing.MockClock) -> None:
    """When the loads' nursery is cancelled, a waiter outside of it gets a sentence instead of hanging."""
    async with trio.open_nursery() as outer, trio.open_nursery() as loads:
        flights: SingleFlight[None] = SingleFlight(loads)

        async def waiter() -> None:
            with pytest.raises(GatewayError, match="the gateway is closing"):
                await flights.run("key", trio.sleep_forever)

        outer.start_soon(waiter)
        await trio.testing.wait_all_tasks_blocked()
        loads.cancel_scope.cancel()
