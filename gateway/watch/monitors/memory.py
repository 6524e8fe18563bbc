"""What is given up when the process grows too large."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable

import structlog
import trio

from gateway.pipeline.invalidation import Selector
from gateway.profile.units import format_size
from gateway.profile.watch import MemoryMonitor as MemorySection
from gateway.telemetry.metrics import Counts
from gateway.tiers.memory import MemoryTier

log = structlog.get_logger(__name__)


class MemoryMonitor:
    """Looks at the resident memory every `interval` seconds.

    At `warning` expired and low-priority entries are given up, at `critical` garbage is collected and the memory tier
    emptied; requests are served from the disk tier then, and fill it again. After either it waits for `pause`: freed
    memory does not always leave the process, and to give up ever more would not help.
    """

    def __init__(
        self,
        section: MemorySection,
        interval: float,
        memory: MemoryTier | None,
        resident: Callable[[], int],
        actions: Counts,
    ) -> None:
        self._section = section
        self._interval = interval
        self._memory = memory
        self._resident = resident
        self._actions = actions

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look until cancelled."""
        task_status.started()
        pause = self._interval
        while True:
            await trio.sleep(pause)
            pause = self._section.pause if self.look() else self._interval

    def look(self) -> bool:
        """Look once; whether something was done."""
        size = self._resident()
        if size >= self._section.critical:
            given_up = self._memory.purge(Selector("all")) if self._memory is not None else 0
            collected = gc.collect()
            give_back()
            self._acted("emptied", "critical", size, entries=given_up, objects=collected)
            return True
        if size >= self._section.warning:
            given_up = self._memory.give_up_least() if self._memory is not None else 0
            give_back()
            self._acted("cleaned", "warning", size, entries=given_up)
            return True
        return False

    def _acted(self, action: str, threshold: str, size: int, **what: int) -> None:
        self._actions.add("memory", action)
        log.warning(
            "memory is short, the memory tier gives up entries",
            action=action,
            key=f"monitors.memory.{threshold}",
            threshold=format_size(getattr(self._section, threshold)),
            resident=size,
            now=self._resident(),
            **what,
        )


def give_back() -> None:
    """Give free heap back to the system (malloc_trim(3)); a C library that can't, does it in its own time."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
