"""Opens the tiers, and changes them while they are in use."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import structlog

from gateway.assembly.nurseries import cancelled_at_the_end
from gateway.assembly.parts import Parts
from gateway.errors import TierError
from gateway.pipeline.clock import Clock
from gateway.pipeline.metered import Metered
from gateway.profile.tiers import Cache
from gateway.telemetry.telemetry import Telemetry
from gateway.tiers.memory import MemoryTier

if TYPE_CHECKING:
    from gateway.tiers.disk import DiskTier
    from gateway.watch.janitor import Janitor

# What only some profiles need is imported where it is opened: a gateway over stdio starts with its agent.


log = structlog.get_logger(__name__)


class Tiers:
    """The tiers of a profile, fastest first. `absent` names those that could not be opened."""

    def __init__(self, section: Cache, held: AsyncExitStack, clock: Clock, telemetry: Telemetry) -> None:
        self.section = section
        self.memory: MemoryTier | None = None
        self.disk: DiskTier | None = None
        self.lower: tuple[Metered, ...] = ()
        self.absent: tuple[str, ...] = ()
        self._janitor: Janitor | None = None
        self._held = held
        self._clock = clock
        self._telemetry = telemetry

    async def open(self, parts: Parts, before: Tiers | None = None) -> None:
        """Open them; those of `before` that can go on are the same ones. Raises TierError for a disk that is new.

        At the start, what can be done without is logged instead.
        """
        section = self.section
        if section.memory.enabled:
            same = before.memory if before is not None and _same_memory(before.section, section) else None
            self.memory = same or MemoryTier(section.memory, self._clock)
        if section.disk.enabled:
            await self._open_disk(parts, before)
        if self.disk is not None:
            meters = before.lower if before is not None else ()
            kept = (meter for meter in meters if meter.tier is self.disk)
            self.lower = (next(kept, None) or Metered(self.disk, self._telemetry),)

    def take_over(self, before: Tiers) -> None:
        """From now on these are in use, and no longer `before`: limits as these have them, entries as those had."""
        section = self.section
        if self.memory is not None and self.memory is before.memory:
            self.memory.adjust(section.memory)
        elif self.memory is not None and before.memory is not None:
            for key, entry in before.memory.entries():
                self.memory.put(key, entry)
        if self._janitor is not None and self.disk is not None and self.disk is before.disk:
            self.disk.adjust(section.disk, section.pool_size)
            self._janitor.interval = section.disk.cleanup_interval

    async def close(self) -> None:
        """Close them, save those that others hold as well."""
        await self._held.aclose()

    async def _open_disk(self, parts: Parts, before: Tiers | None) -> None:
        section = self.section
        about = "disk", section.disk.path
        opening = partial(_open_disk, section, self._clock, self._telemetry)
        try:
            self.disk, self._janitor = await parts.hold(self._held, about, opening)
        except TierError as error:
            if before is not None and ("disk" not in before.absent or before.section.disk.path != section.disk.path):
                raise
            log.warning("serving without the disk tier", key="cache.disk.path", error=str(error))
            self.absent = ("disk",)


async def open_tiers(
    parts: Parts, section: Cache, clock: Clock, telemetry: Telemetry, before: Tiers | None = None
) -> Tiers:
    """The tiers of `section`, to be closed by the caller."""
    tiers = Tiers(section, AsyncExitStack(), clock, telemetry)
    try:
        await tiers.open(parts, before)
    except BaseException:
        await tiers.close()
        raise
    return tiers


def _same_memory(before: Cache, after: Cache) -> bool:
    """Whether the tier can go on: limits can be changed while it is in use, how it is made can't."""
    return before.memory.algorithm == after.memory.algorithm and before.memory.curve == after.memory.curve


@asynccontextmanager
async def _open_disk(section: Cache, clock: Clock, telemetry: Telemetry) -> AsyncIterator[tuple[DiskTier, Janitor]]:
    """The disk tier with its janitor. Raises TierError where its file can't be opened."""
    import trio_asyncio

    from gateway.tiers.disk import open_disk
    from gateway.watch.janitor import Janitor
    from gateway.watch.supervision import Supervised

    async with (
        trio_asyncio.open_loop(),
        open_disk(section.disk, clock, section.pool_size) as disk,
        cancelled_at_the_end() as services,
    ):
        await services.start(disk.run)
        janitor = Janitor(disk, section.disk.cleanup_interval)
        await services.start(Supervised("janitor", janitor.run, telemetry).run)
        yield disk, janitor
