from __future__ import annotations

import pytest
import trio
import trio.testing

from gateway.telemetry.histogram import Histogram
from gateway.watch.monitors.lag import LagMonitor


async def test_a_loop_that_turns_has_no_lag(autojump_clock: trio.testing.MockClock) -> None:
    """Looked at ten times a second."""
    timings = Histogram()
    with trio.move_on_after(0.95):
        await LagMonitor(timings).run()
    assert timings.count == 9
    assert timings.max == pytest.approx(0)


async def test_what_blocks_the_loop_is_seen(mock_clock: trio.testing.MockClock) -> None:
    """Time that goes by while no task can run is how much too late it wakes up."""
    timings = Histogram()
    async with trio.open_nursery() as nursery:
        await nursery.start(LagMonitor(timings).run)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(2.1)  # as a call that blocks for so long
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert timings.max == pytest.approx(2.0)
