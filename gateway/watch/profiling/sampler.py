"""Looks at what all threads are doing, whenever the process has used some more processor time.

By the kernel's profiling timer (setitimer(2), ITIMER_PROF) and its signal, which Python handles in the main thread
between two bytecodes: the frame that it was in is where the time goes. Left: a thread that reads
`sys._current_frames()` every 10 ms. It has to wait for the interpreter's lock, which an event loop gives away when it
polls: nine of ten looks at a loop that was busy all the time found it polling.
"""

from __future__ import annotations

import random
import signal
import sys
import threading
import time
from collections.abc import Mapping
from types import FrameType, TracebackType
from typing import Any

from gateway.watch.profiling.stacks import StackCounts

_JITTER = 0.2
"""Part of the interval by which it varies, so that nothing periodic is seen always or never."""


class Sampler:
    """Counts stacks every `interval` seconds of processor time while its block runs; in the main thread only.

    Time in C code is found at the Python function that called it. An idle process is not looked at, and costs nothing.
    """

    def __init__(self, counts: StackCounts, interval: float) -> None:
        self.counts = counts
        self.interval = interval
        self.failed = 0
        """Looks that went wrong: nothing may be raised into whatever was interrupted."""
        self.looking = 0.0
        """Seconds that looking took."""
        self._main = threading.get_ident()
        self._before: Any = None

    def __enter__(self) -> Sampler:
        self._before = signal.signal(signal.SIGPROF, self._tick)
        signal.siginterrupt(signal.SIGPROF, False)  # so that no system call of a library fails with EINTR
        self._wind()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        # A signal that is still on its way would end the process by the default action; ignoring drops it.
        signal.signal(signal.SIGPROF, signal.SIG_IGN)
        signal.signal(signal.SIGPROF, signal.SIG_DFL if self._before is None else self._before)

    def _tick(self, _number: int, frame: FrameType | None) -> None:
        began = time.perf_counter()
        try:
            self._look(frame)
        except Exception:
            self.failed += 1
        self.looking += time.perf_counter() - began
        self._wind()

    def _look(self, main: FrameType | None) -> None:
        # Not threading.enumerate(): its lock may be held by what this interrupts.
        threads: Mapping[int, threading.Thread] = threading._active.copy()  # type: ignore[attr-defined]
        self.counts.samples += 1
        for ident, frame in sys._current_frames().items():
            seen = main if ident == self._main else frame
            if seen is not None:
                # One that C code began, or that begins or ends right now, has no name.
                self.counts.add(threads[ident].name if ident in threads else "unnamed thread", seen)

    def _wind(self) -> None:
        pause = self.interval * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 (not for secrets)
        signal.setitimer(signal.ITIMER_PROF, pause)
