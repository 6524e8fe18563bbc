"""The gateway's time."""

from __future__ import annotations

import time
from collections.abc import Callable

import trio


class Clock:
    """Seconds since the epoch that never go back: the wall clock, held up by Trio's monotonic one.

    A wall clock that is set back while the gateway runs would make old entries look fresh again, so time goes on by the
    monotonic clock then. One that is ahead of that (the machine slept, or was corrected) is believed: entries may
    expire early, never late.
    """

    __slots__ = ("_offset", "_wall")

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._offset = wall() - trio.current_time()

    def __call__(self) -> float:
        """Now."""
        wall = self._wall()
        now = trio.current_time() + self._offset
        if wall > now:
            self._offset += wall - now
            return wall
        return now
