"""Records a profile of this process on request."""

from __future__ import annotations

import threading
import time

import trio

from gateway.errors import GatewayError
from gateway.watch.profiling.profile import Profile
from gateway.watch.profiling.sampler import Sampler
from gateway.watch.profiling.stacks import StackCounts

SHORTEST, LONGEST = 0.1, 300.0
"""Seconds that a profile may take."""
FASTEST, SLOWEST = 0.001, 1.0
"""Seconds of processor time between two looks; the kernel's timer is no finer than some milliseconds."""


class ProfilerBusy(GatewayError):
    """A profile is being recorded already."""


class ProfilerUnavailable(GatewayError):
    """Profiles can't be recorded here: only a process whose main thread runs the gateway is told of its timer."""


class ProfilerRange(GatewayError):
    """A profile was asked for that takes too long, too short, or looks too often or too seldom."""


class StackProfiler:
    """Finds out what all threads of this process are doing; one profile at a time, as there is one timer."""

    def __init__(self) -> None:
        self._recording = False

    @property
    def recording(self) -> bool:
        """Whether a profile is being recorded."""
        return self._recording

    async def record(self, seconds: float, interval: float = 0.01, *, idle: bool = False) -> Profile:
        """A profile of the next `seconds`, looking every `interval` seconds of processor time that the process uses.

        With `idle`, threads that wait are in it, too. Raises ProfilerRange, ProfilerBusy while another one is being
        recorded, and ProfilerUnavailable outside the main thread. Cancelling ends it at once, without a profile.
        """
        _check(seconds, interval)
        if threading.current_thread() is not threading.main_thread():
            raise ProfilerUnavailable("profiling: expected the gateway in the main thread, found it in another one")
        if self._recording:
            raise ProfilerBusy("a profile is being recorded already: expected one at a time, try again when it is done")
        self._recording = True
        counts = StackCounts(idle=idle)
        began, used = time.monotonic(), time.process_time()
        try:
            with Sampler(counts, interval) as sampler:
                await trio.sleep(seconds)
        finally:
            self._recording = False
        cpu = time.process_time() - used
        return Profile(
            stacks=counts.stacks(),
            seconds=time.monotonic() - began,
            cpu=cpu,
            interval=cpu / counts.samples if counts.samples else interval,
            samples=counts.samples,
            idle=counts.idle,
            left_out=counts.left_out,
            overhead=sampler.looking / cpu if cpu else 0.0,
        )


def _check(seconds: float, interval: float) -> None:
    if not SHORTEST <= seconds <= LONGEST:
        raise ProfilerRange(f"seconds: expected {SHORTEST:g} to {LONGEST:g}, found {seconds:g}")
    if not FASTEST <= interval <= SLOWEST:
        raise ProfilerRange(f"interval: expected {FASTEST:g} to {SLOWEST:g} seconds, found {interval:g}")
