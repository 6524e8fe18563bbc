"""Opens the disk tier, and what keeps it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import structlog

from gateway.assembly.nurseries import cancelled_at_the_end
from gateway.errors import TierError
from gateway.pipeline.clock import Clock
from gateway.profile.profile import Profile
from gateway.telemetry.telemetry import Telemetry

if TYPE_CHECKING:
    from gateway.tiers.disk import DiskTier

# What only some profiles need is imported where it is opened: a gateway over stdio starts with its agent.


log = structlog.get_logger(__name__)


async def open_disk(stack: AsyncExitStack, profile: Profile, clock: Clock, telemetry: Telemetry) -> DiskTier | None:
    """The disk tier with its janitor; None where the profile has none, and where its file can't be opened."""
    section = profile.cache.disk
    if not section.enabled:
        return None
    import trio_asyncio

    from gateway.tiers.disk import open_disk
    from gateway.watch.janitor import Janitor
    from gateway.watch.supervision import Supervised

    await stack.enter_async_context(trio_asyncio.open_loop())
    try:
        disk = await stack.enter_async_context(open_disk(section, clock, profile.cache.pool_size))
    except TierError as error:
        log.warning("serving without the disk tier", key="cache.disk.path", error=str(error))
        return None
    services = await stack.enter_async_context(cancelled_at_the_end())
    await services.start(disk.run)
    await services.start(Supervised("janitor", Janitor(disk, section.cleanup_interval).run, telemetry).run)
    return disk
