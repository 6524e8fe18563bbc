"""How much of a core this process uses, all the time."""

from __future__ import annotations

import resource
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import trio

from gateway.telemetry.metrics import Labels, Metric

INTERVAL = 0.1
"""Seconds between two samples."""
WINDOW = 60.0
"""Seconds that the numbers are about."""


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Seconds of processor time since the process began."""

    user: float
    system: float


@dataclass(frozen=True, slots=True)
class CpuUsage:
    """Processor time in a window, as parts of one core: 1.0 is one core all the time, several threads may use more."""

    average: float = 0.0
    peak: float = 0.0
    """In the busiest interval between two samples."""
    user: float = 0.0
    """Of the average: in the program's own code."""
    system: float = 0.0
    """Of the average: in the kernel on its behalf."""
    seconds: float = 0.0
    """For how long was looked: the window, or less after the start."""


class CpuWindow:
    """The samples of the last `window` seconds."""

    def __init__(self, window: float = WINDOW, interval: float = INTERVAL) -> None:
        self._window = window
        self._samples: deque[tuple[float, CpuTimes]] = deque(maxlen=round(window / interval) + 1)

    def add(self, now: float, times: CpuTimes) -> None:
        """Note the processor time at `now`, in seconds on any clock that only goes forward."""
        if self._samples and now <= self._samples[-1][0]:
            return
        self._samples.append((now, times))
        while now - self._samples[0][0] > self._window:
            self._samples.popleft()

    def usage(self) -> CpuUsage:
        """The usage between the oldest and the newest sample; zeros while there are not two."""
        if len(self._samples) < 2:
            return CpuUsage()
        (began, first), (ended, last) = self._samples[0], self._samples[-1]
        seconds = ended - began
        user, system = (last.user - first.user) / seconds, (last.system - first.system) / seconds
        peak = max(
            (after.user + after.system - before.user - before.system) / (then - since)
            for (since, before), (then, after) in pairwise(self._samples)
        )
        return CpuUsage(user + system, peak, user, system, seconds)


class CpuSamples:
    """Samples the processor time of this process ten times a second, which takes some microseconds each time."""

    def __init__(self, read: Callable[[], CpuTimes] | None = None, window: float = WINDOW) -> None:
        self._read = read or cpu_times
        self._samples = CpuWindow(window)

    def usage(self) -> CpuUsage:
        """The usage in the last minute."""
        return self._samples.usage()

    def metrics(self) -> list[Metric]:
        """The usage, as it is told; nothing where nothing was sampled."""
        usage = self.usage()
        if not usage.seconds:
            return []
        parts: dict[Labels, float] = {(kind,): getattr(usage, kind) for kind in ("average", "peak", "user", "system")}
        about = "Processor time of the last minute as a part of one core: average, its user and system part, and peak"
        return [Metric("gateway_process_cpu_ratio", about, "gauge", ("kind",), parts)]

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Sample until cancelled."""
        self._samples.add(trio.current_time(), self._read())
        task_status.started()
        while True:
            await trio.sleep(INTERVAL)
            self._samples.add(trio.current_time(), self._read())


def cpu_times() -> CpuTimes:
    """What this process has used, all threads together.

    By getrusage(2), which counts in microseconds. psutil reads /proc, which counts in ticks of 10 ms: a tenth of the
    time between two samples.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    return CpuTimes(used.ru_utime, used.ru_stime)
