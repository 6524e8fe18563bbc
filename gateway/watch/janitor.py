"""The janitor: keeps the disk tier's file within its limit and clear of what nobody may use any more."""

from __future__ import annotations

import structlog
import trio

from gateway.errors import TierError
from gateway.tiers.disk import DiskTier
from gateway.tiers.disk_cleanup import CHORES

log = structlog.get_logger(__name__)

_LEAST_PAUSE = 1.0
"""Seconds between two rounds, also when writes fill the file as fast as it is emptied or the disk fails."""


class Janitor:
    """Cleans up every `interval` seconds, and when the disk tier asks for it, in bits of a few milliseconds.

    `interval` may be changed at any time.
    """

    def __init__(self, disk: DiskTier, interval: float) -> None:
        self._disk = disk
        self.interval = interval

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Clean up now and then every interval, until cancelled. A failing disk is tried again the next time."""
        task_status.started()
        while True:
            try:
                done = await self.clean_up()
            except TierError as error:
                log.warning("cleanup failed", tier=self._disk.name, error=str(error))
            else:
                log.debug("cleaned up", tier=self._disk.name, done=done)
            await trio.sleep(min(_LEAST_PAUSE, self.interval))
            with trio.move_on_after(max(0.0, self.interval - _LEAST_PAUSE)):
                await self._disk.wait_untidy()

    async def clean_up(self) -> dict[str, int]:
        """Do every chore to its end; how many rows, purges or pages each was about."""
        await self._disk.learn_keys()
        done = {}
        for name, chore in CHORES.items():
            total = 0
            while count := await self._disk.chore(chore):
                total += count
            done[name] = total
        await self._disk.finish_chores()
        return done
