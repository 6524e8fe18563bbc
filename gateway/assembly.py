"""The only opener: from a profile to a running gateway, and back. Keep it a list of openings."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

import structlog
import trio

from gateway.catalogue.catalogue import Catalogue
from gateway.catalogue.template import path_glob
from gateway.errors import TierError
from gateway.pipeline.clock import Clock
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.metered import Metered
from gateway.pipeline.pipeline import Pipeline
from gateway.pipeline.single_flight import SingleFlight
from gateway.profile.profile import Profile
from gateway.tiers.memory import MemoryTier
from gateway.upstream.model import Upstream
from gateway.watch.changes import Changes
from gateway.watch.versions import VersionWatch
from gateway.watch.warmer import Warmer

if TYPE_CHECKING:
    from gateway.tiers.disk import DiskTier

# What only some profiles need is imported where it is opened: a gateway over stdio starts with its agent.

log = structlog.get_logger(__name__)

_LAST_WRITES = 5.0
"""Seconds that writes to the lower tiers may take when the gateway closes."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that runs: everything that serves stands on it."""

    profile: Profile
    catalogue: Catalogue
    pipeline: Pipeline
    memory: MemoryTier | None
    disk: DiskTier | None
    warmer: Warmer
    changes: Changes

    @property
    def ready(self) -> bool:
        """Whether requests are welcome, as `server.ready_after` has it."""
        return self.profile.server.ready_after == "start" or self.warmer.warmed.is_set()

    @property
    def tiers(self) -> tuple[str, ...]:
        """The tiers that are in use, fastest first."""
        return tuple(tier.name for tier in (self.memory, self.disk) if tier is not None)


@asynccontextmanager
async def open_gateway(
    profile: Profile, environ: Mapping[str, str] = os.environ, *, ahead: bool = True
) -> AsyncIterator[Gateway]:
    """A gateway made of `profile`, running until the block ends.

    Closing cancels the loads under way, waits for what they brought to be written, stops the services and closes the
    resources, in that order. What can't be opened but can be done without (the disk tier) is logged. `ahead` is whether
    to work ahead of requests: to warm, and to look for new releases.
    """
    async with AsyncExitStack() as stack:
        clock = Clock()
        memory = MemoryTier(profile.cache.memory, clock) if profile.cache.memory.enabled else None
        disk = await _open_disk(stack, profile, clock)
        downloads = await stack.enter_async_context(_cancelled_at_the_end())
        upstreams = {name: await _open_upstream(stack, downloads, profile, name, environ) for name in profile.upstreams}
        stack.callback(downloads.cancel_scope.cancel)  # before the connections that they use are closed
        writes = await stack.enter_async_context(_finished_at_the_end())
        loads = await stack.enter_async_context(_cancelled_at_the_end())
        lower = [Metered(disk)] if disk is not None else []
        absent = ["disk"] if disk is None and profile.cache.disk.enabled else []
        pipeline = Pipeline(memory, lower, clock, loads=loads, writes=writes, absent=absent)
        catalogue = Catalogue(profile, pipeline, upstreams)
        warmer = Warmer(catalogue, profile.warm, clock)
        pipeline.listen(warmer.purged)
        gateway = Gateway(profile, catalogue, pipeline, memory, disk, warmer, Changes())
        await _start_working_ahead(stack, gateway, ahead=ahead)
        yield gateway


async def _start_working_ahead(stack: AsyncExitStack, gateway: Gateway, *, ahead: bool) -> None:
    services = await stack.enter_async_context(_cancelled_at_the_end())
    await services.start(partial(gateway.warmer.run, ahead=ahead))
    for name, section in gateway.profile.upstreams.items():
        if ahead and section.watch is not None:
            changed = partial(_new_release, gateway)
            watch = VersionWatch(gateway.catalogue.documents, name, section.watch.interval, changed)
            await services.start(watch.run)


async def _new_release(gateway: Gateway, upstream: str, _before: str, _latest: str) -> None:
    """What depends on which release is the latest is stale now; an old answer may still stand in for a failure."""
    try:
        await gateway.pipeline.purge(Selector("tag", f"floating:{upstream}"), soft=True)
    except TierError:
        if gateway.disk is not None:  # a file that could not be opened is not read, either
            raise
    finally:
        gateway.warmer.request()
        gateway.changes.announce()


async def _open_disk(stack: AsyncExitStack, profile: Profile, clock: Clock) -> DiskTier | None:
    section = profile.cache.disk
    if not section.enabled:
        return None
    import trio_asyncio

    from gateway.tiers.disk import open_disk
    from gateway.watch.janitor import Janitor

    await stack.enter_async_context(trio_asyncio.open_loop())
    try:
        disk = await stack.enter_async_context(open_disk(section, clock, profile.cache.pool_size))
    except TierError as error:
        log.warning("serving without the disk tier", key="cache.disk.path", error=str(error))
        return None
    services = await stack.enter_async_context(_cancelled_at_the_end())
    await services.start(disk.run)
    await services.start(Janitor(disk, section.cleanup_interval).run)
    return disk


async def _open_upstream(
    stack: AsyncExitStack, downloads: trio.Nursery, profile: Profile, name: str, environ: Mapping[str, str]
) -> Upstream:
    section = profile.upstreams[name]
    match section.type:
        case "http":
            from gateway.upstream.http.documents import open_http

            return await stack.enter_async_context(open_http(name, section, tasks=downloads))
        case "npm":
            from gateway.upstream.npm import open_npm

            # Whatever any tool may ask for is kept when a package has been downloaded anyway.
            fetches = [fetch for tool in profile.tools.values() for fetch in tool.documents.values()]
            wanted = {path_glob(fetch.path) for fetch in fetches if fetch.upstream == name}
            return await stack.enter_async_context(
                open_npm(
                    name,
                    section,
                    environ=environ,
                    cwd=Path.cwd(),
                    home=_home(),
                    wanted_patterns=wanted,
                    flights=SingleFlight(downloads),
                )
            )
        case _:
            assert_never(section)


def _home() -> Path:
    """The user's home folder, or the root folder for one that has none, as in a container."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")


@asynccontextmanager
async def _cancelled_at_the_end() -> AsyncIterator[trio.Nursery]:
    async with trio.open_nursery() as nursery:
        try:
            yield nursery
        finally:
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def _finished_at_the_end() -> AsyncIterator[trio.Nursery]:
    """A nursery whose tasks get some time to finish when its block ends; an exception or a cancellation ends them."""
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            try:
                yield nursery
            finally:
                scope.shield = True
                scope.deadline = trio.current_time() + _LAST_WRITES
