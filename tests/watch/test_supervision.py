from __future__ import annotations

import itertools

import pytest
import structlog.testing
import trio
import trio.testing

from gateway.telemetry.telemetry import Telemetry
from gateway.watch.supervision import Supervised


class Failing:
    """A service that notes when it was started, and fails after each of `lasting` seconds; then it runs on."""

    def __init__(self, *lasting: float, error: Exception | None = None) -> None:
        self.starts: list[float] = []
        self.cancelled = 0
        self._lasting = list(lasting)
        self._error = error or RuntimeError("broken")

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        self.starts.append(trio.current_time())
        task_status.started()
        try:
            await trio.sleep(self._lasting.pop(0) if self._lasting else float("inf"))
        except trio.Cancelled:
            self.cancelled += 1
            raise
        raise self._error


async def starts(service: Failing, telemetry: Telemetry, seconds: float) -> list[float]:
    """When the service was started within so long, in seconds since the beginning."""
    began = trio.current_time()
    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            await nursery.start(Supervised("s", service.run, telemetry).run)
            nursery.start_soon(trio.sleep_forever)
    return [at - began for at in service.starts]


async def test_pauses_grow_up_to_a_minute(autojump_clock: trio.testing.MockClock) -> None:
    """Twice as long each time that it fails at once; each start is counted."""
    telemetry = Telemetry()
    with structlog.testing.capture_logs() as logs:
        times = await starts(Failing(*[0.0] * 9), telemetry, 1000)
    pauses = [after - before for before, after in itertools.pairwise(times)]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert telemetry.restarts.total("s") == 9
    assert [line["service"] for line in logs] == ["s"] * 9


async def test_one_that_ran_for_long_is_started_soon(autojump_clock: trio.testing.MockClock) -> None:
    """What failed long ago does not count any more."""
    times = await starts(Failing(0, 0, 0, 100, 0), Telemetry(), 1000)
    pauses = [after - before for before, after in itertools.pairwise(times)]
    assert pauses == [1, 2, 4, 101, 2]


async def test_a_service_that_ends_is_started_again(autojump_clock: trio.testing.MockClock) -> None:
    """Services run until they are cancelled: one that ends has failed, too."""
    telemetry, ran = Telemetry(), 0

    async def ending(*, task_status: trio.TaskStatus[None]) -> None:
        nonlocal ran
        ran += 1
        await trio.lowlevel.checkpoint()

    with structlog.testing.capture_logs() as logs, trio.move_on_after(4):
        await Supervised("s", ending, telemetry).run()
    assert (ran, telemetry.restarts.total("s")) == (3, 3)
    assert logs[0]["event"] == "a service ended, it is started again"


async def test_cancellation_passes_through(autojump_clock: trio.testing.MockClock) -> None:
    """While the service runs, and while it waits to be started again."""
    running = Failing()
    assert await starts(running, Telemetry(), 5) == [0]
    assert running.cancelled == 1
    waiting = Failing(0.0)
    assert await starts(waiting, Telemetry(), 0.5) == [0]


async def test_it_is_under_way_at_once(autojump_clock: trio.testing.MockClock) -> None:
    """The gateway does not wait for a service that can't start."""

    async def never_started(*, task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        with trio.fail_after(1):
            await nursery.start(Supervised("s", never_started, Telemetry()).run)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("grouped", [False, True])
async def test_a_failure_while_it_is_cancelled_does_not_come_out(
    autojump_clock: trio.testing.MockClock, *, grouped: bool
) -> None:
    """A service whose end fails, alone or beside a task that is cancelled, harms nobody who stops the gateway."""
    telemetry = Telemetry()

    async def failing_at_the_end() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise RuntimeError("broken at the end")

    async def service(*, task_status: trio.TaskStatus[None]) -> None:
        if not grouped:
            await failing_at_the_end()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(failing_at_the_end)
            nursery.start_soon(trio.sleep_forever)

    with structlog.testing.capture_logs(), trio.move_on_after(1) as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Supervised("s", service, telemetry).run)
    assert scope.cancelled_caught
