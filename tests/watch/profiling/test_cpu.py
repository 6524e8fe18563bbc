from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio
import trio.testing

from gateway.watch.profiling.cpu import CpuSamples, CpuTimes, CpuUsage, CpuWindow, cpu_times


def test_nothing_is_known_at_first() -> None:
    """One sample says nothing about usage."""
    window = CpuWindow()
    window.add(0.0, CpuTimes(5.0, 1.0))
    assert window.usage() == CpuUsage()


def test_average_peak_user_and_system() -> None:
    """The average is over the window, the peak that of the busiest interval."""
    window = CpuWindow()
    window.add(0.0, CpuTimes(1.0, 1.0))
    window.add(1.0, CpuTimes(1.1, 1.0))
    window.add(2.0, CpuTimes(1.7, 1.3))
    usage = window.usage()
    assert usage.average == pytest.approx(0.5)
    assert usage.peak == pytest.approx(0.9)
    assert usage.user == pytest.approx(0.35)
    assert usage.system == pytest.approx(0.15)
    assert usage.seconds == 2.0


def test_what_is_older_than_the_window_is_forgotten() -> None:
    """A peak from before the window no longer counts, and memory is bounded."""
    window = CpuWindow(window=10.0, interval=1.0)
    window.add(0.0, CpuTimes(0.0, 0.0))
    for second in range(1, 100):
        window.add(float(second), CpuTimes(1.0, 0.0))
    assert window.usage() == CpuUsage(0.0, 0.0, 0.0, 0.0, 10.0)


def test_a_clock_that_stands_still_divides_by_nothing() -> None:
    """Two samples at the same moment are one."""
    window = CpuWindow()
    window.add(1.0, CpuTimes(0.0, 0.0))
    window.add(1.0, CpuTimes(9.0, 0.0))
    assert window.usage() == CpuUsage()


async def test_it_samples_ten_times_a_second(autojump_clock: trio.testing.MockClock) -> None:
    """A busy tenth of a second shows as a peak, whatever the average is."""

    def times() -> Iterator[CpuTimes]:
        user = 0.0
        for number in range(1000):
            user += 0.1 if number == 5 else 0.01
            yield CpuTimes(user, 0.0)

    upcoming = times()
    samples = CpuSamples(lambda: next(upcoming))
    async with trio.open_nursery() as nursery:
        await nursery.start(samples.run)
        await trio.sleep(10.05)
        nursery.cancel_scope.cancel()
    assert samples.usage().peak == pytest.approx(1.0)
    assert samples.usage().average == pytest.approx(0.109)


def test_this_process_uses_some() -> None:
    """The real counters are those of this process, and only go up."""
    before = cpu_times()
    sum(range(100_000))
    assert cpu_times().user >= before.user > 0
