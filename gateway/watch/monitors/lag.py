"""How long the event loop keeps tasks waiting."""

from __future__ import annotations

from typing import Final

import trio

from gateway.telemetry.histogram import Histogram

_INTERVAL: Final = 0.1
"""Seconds between two looks: what blocks the loop for less may go unseen, and harms less."""


class LagMonitor:
    """Sleeps, and notes how much too late it wakes up: so long a request that came then had to wait, too."""

    def __init__(self, timings: Histogram) -> None:
        self._timings = timings

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look until cancelled."""
        task_status.started()
        while True:
            due = trio.current_time() + _INTERVAL
            await trio.sleep_until(due)
            self._timings.record(max(0.0, trio.current_time() - due))
