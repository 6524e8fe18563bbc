"""Services that may fail: each is started again, and none of them takes the gateway down."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

import structlog
import trio

from gateway.telemetry.telemetry import Telemetry

log = structlog.get_logger(__name__)

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
"""Seconds before a service that failed is started again: twice as many each time, up to a minute..."""
_STEADY = 60.0
"""...and as few as at first again once it has run for so long."""


class Service(Protocol):
    """Something that runs until it is cancelled."""

    def __call__(self, *, task_status: trio.TaskStatus[None]) -> Awaitable[None]:
        """Run; `task_status.started()` is called once it is under way."""


class Supervised:
    """A service that is started again, after a pause, when it fails; how often is counted by its name."""

    def __init__(self, name: str, service: Service, telemetry: Telemetry) -> None:
        self._name = name
        self._service = service
        self._telemetry = telemetry

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run the service until cancelled. Started at once: what it needs to start may fail, too."""
        task_status.started()
        pause = _FIRST_PAUSE
        while True:
            began = trio.current_time()
            try:
                await self._service(task_status=trio.TASK_STATUS_IGNORED)
                log.warning("a service ended, it is started again", service=self._name)
            # Whatever it is, the gateway goes on; `except*`, for a cancellation may come with a failure, and passes.
            except* Exception:
                log.exception("a service failed, it is started again", service=self._name)
            self._telemetry.restarts.add(self._name)
            if trio.current_time() - began >= _STEADY:
                pause = _FIRST_PAUSE
            await trio.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 2)
