"""The janitor: deletes what nobody may use any more from the disk tier."""

from __future__ import annotations

import structlog
import trio

from gateway.errors import TierError
from gateway.tiers.disk import DiskTier

log = structlog.get_logger(__name__)

_BATCH = 500
"""Entries deleted in one transaction, so that requests get their turn in between."""


class Janitor:
    """Cleans up every `interval` seconds, in small steps."""

    def __init__(self, disk: DiskTier, interval: float) -> None:
        self._disk = disk
        self._interval = interval

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Clean up now and then every interval, until cancelled. A failing disk is tried again the next time."""
        task_status.started()
        while True:
            try:
                deleted = await self.clean_up()
            except TierError as error:
                log.warning("cleanup failed", tier=self._disk.name, error=str(error))
            else:
                log.debug("cleaned up", tier=self._disk.name, deleted=deleted)
            await trio.sleep(self._interval)

    async def clean_up(self) -> int:
        """Delete everything expired; how many entries there were."""
        total = 0
        while deleted := await self._disk.delete_expired(_BATCH):
            total += deleted
        return total
