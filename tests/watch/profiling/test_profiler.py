"""The profiler on this very process: real threads, real time, little of it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio
import trio.testing

from gateway.errors import GatewayError
from gateway.watch.profiling.profiler import ProfilerBusy, ProfilerRange, ProfilerUnavailable, StackProfiler


@contextmanager
def at_work(name: str) -> Iterator[None]:
    """A thread that is busy in `spin_here`."""
    stop = threading.Event()

    def spin_here() -> None:
        while not stop.is_set():
            sum(range(100))

    thread = threading.Thread(target=spin_here, name=name)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


async def poll_a_lot() -> None:
    """Work in small bits, with a poll of the event loop after each, as a busy gateway does."""
    while True:
        sum(range(2000))
        await trio.lowlevel.checkpoint()


async def test_a_busy_thread_is_found() -> None:
    """The profile shows by name what a thread was doing, from its outermost frame to the function that is busy."""
    with at_work("busy one"):
        profile = await StackProfiler().record(0.5, 0.005)
    stacks = [stack for stack in profile.stacks if stack[0] == "busy one"]
    assert any("spin_here" in frame for stack in stacks for frame in stack)


async def test_a_busy_event_loop_is_seen_at_work() -> None:
    """A loop that polls after each bit of work is found at its work, not at the poll."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(poll_a_lot)
        profile = await StackProfiler().record(1.0, 0.005)
        nursery.cancel_scope.cancel()
    at_work = sum(count for stack, count in profile.stacks.items() if "poll_a_lot" in stack[-1])
    assert at_work > profile.samples / 2


async def test_waiting_threads_are_left_out_by_default() -> None:
    """A thread that waits for an event is in the profile only when idle threads are asked for."""
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="waiting one")
    thread.start()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(poll_a_lot)
            quiet = await StackProfiler().record(0.3, 0.005)
            full = await StackProfiler().record(0.3, 0.005, idle=True)
            nursery.cancel_scope.cancel()
    finally:
        stop.set()
        thread.join()
    assert "waiting one" not in {stack[0] for stack in quiet.stacks}
    assert "waiting one" in {stack[0] for stack in full.stacks}
    assert quiet.idle > 0


async def test_an_idle_process_is_not_looked_at() -> None:
    """Nothing is used while nothing happens, so there is little or nothing to see."""
    profile = await StackProfiler().record(0.2, 0.1)
    assert profile.cpu < profile.seconds
    assert profile.samples <= 3


async def test_the_signal_is_as_it_was() -> None:
    """What the process does with the profiling signal, and its timer, are put back."""
    before = signal.getsignal(signal.SIGPROF)
    await StackProfiler().record(0.1)
    assert signal.getsignal(signal.SIGPROF) is before
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


async def test_threads_may_come_and_go() -> None:
    """Threads that start and end while it looks do not disturb it."""

    def start_some() -> None:
        for _ in range(5):
            threading.Thread(target=sum, args=((),)).start()

    async def churn() -> None:
        while True:
            await trio.to_thread.run_sync(start_some)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(churn)
        profile = await StackProfiler().record(0.5, 0.001)
        nursery.cancel_scope.cancel()
    assert profile.samples > 0


async def test_one_profile_at_a_time() -> None:
    """A second request is refused with a sentence; when the first one is done, the next is welcome."""
    profiler = StackProfiler()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(profiler.record, 0.3)
        await trio.testing.wait_all_tasks_blocked()
        assert profiler.recording
        with pytest.raises(ProfilerBusy, match="a profile is being recorded already") as refused:
            await profiler.record(0.1)
    assert isinstance(refused.value, GatewayError)
    assert not profiler.recording
    await profiler.record(0.1)


async def test_cancelling_ends_it() -> None:
    """A caller that goes away leaves no timer behind and does not block the next one."""
    profiler = StackProfiler()
    with trio.move_on_after(0.05) as scope:
        await profiler.record(300)
    assert scope.cancelled_caught
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
    assert not profiler.recording


@pytest.mark.parametrize("seconds", [0.0, 0.05, 301, float("nan"), float("inf"), -1])
async def test_seconds_are_bounded(seconds: float) -> None:
    """What is too short or too long is refused before anything starts."""
    with pytest.raises(ProfilerRange, match=r"seconds: expected 0\.1 to 300, found"):
        await StackProfiler().record(seconds)


@pytest.mark.parametrize("interval", [0.0, 0.0001, 2.0, float("nan")])
async def test_the_interval_is_bounded(interval: float) -> None:
    """Looking all the time would stop the gateway."""
    with pytest.raises(ProfilerRange, match=r"interval: expected 0\.001 to 1 seconds, found"):
        await StackProfiler().record(1, interval)


async def test_another_thread_can_not_record() -> None:
    """Outside the main thread it is said why there is no profile."""
    with pytest.raises(ProfilerUnavailable, match="expected the gateway in the main thread"):
        await trio.to_thread.run_sync(lambda: trio.run(StackProfiler().record, 1.0))
