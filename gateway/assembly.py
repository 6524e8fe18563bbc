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
from gateway.catalogue.documents import Documents
from gateway.catalogue.policies import policy_of
from gateway.catalogue.template import path_glob
from gateway.errors import TierError
from gateway.pipeline.clock import Clock
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.metered import Metered
from gateway.pipeline.pipeline import Pipeline
from gateway.pipeline.single_flight import SingleFlight
from gateway.profile.profile import Profile
from gateway.profile.upstreams.files import FilesUpstream
from gateway.profile.upstreams.files import FolderWatch as FolderWatchSection
from gateway.profile.upstreams.http import HttpUpstream
from gateway.profile.upstreams.mcp import McpUpstream
from gateway.profile.upstreams.npm import NpmUpstream
from gateway.profile.upstreams.releases import Watch
from gateway.profile.upstreams.search import SearchUpstream
from gateway.tiers.memory import MemoryTier
from gateway.upstream.model import Fetched, Upstream
from gateway.watch.changes import Changes
from gateway.watch.versions import VersionWatch
from gateway.watch.warmer import Warmer

if TYPE_CHECKING:
    from gateway.tiers.disk import DiskTier
    from gateway.upstream.mcp.server import McpServer

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
        upstreams = await _open_upstreams(stack, downloads, profile, environ)
        stack.callback(downloads.cancel_scope.cancel)  # before the connections that they use are closed
        writes = await stack.enter_async_context(_finished_at_the_end())
        loads = await stack.enter_async_context(_cancelled_at_the_end())
        lower = [Metered(disk)] if disk is not None else []
        absent = ["disk"] if disk is None and profile.cache.disk.enabled else []
        pipeline = Pipeline(memory, lower, clock, loads=loads, writes=writes, absent=absent)
        await _open_searches(stack, profile, pipeline, upstreams, loads)
        servers = await _start_servers(stack, profile, environ)
        stack.callback(loads.cancel_scope.cancel)  # before the servers and indexes that they use are closed
        catalogue = Catalogue(profile, pipeline, upstreams, servers)
        await _look_at_files_again(profile, pipeline, disk)
        warmer = Warmer(catalogue, profile.warm, clock)
        pipeline.listen(warmer.purged)
        gateway = Gateway(profile, catalogue, pipeline, memory, disk, warmer, Changes())
        for server in servers:
            server.known.changed = partial(_new_definitions, gateway, server.name)
        await _start_working_ahead(stack, gateway, ahead=ahead)
        yield gateway


async def _look_at_files_again(profile: Profile, pipeline: Pipeline, disk: DiskTier | None) -> None:
    """What changed in a folder while no gateway ran is not in what was kept on disk, so that is stale."""
    for name, section in profile.upstreams.items():
        if section.type != "files" or disk is None:
            continue
        try:
            await pipeline.purge(Selector("tag", f"upstream:{name}"), soft=True)
        except TierError as error:
            log.warning("files that changed may be seen late", upstream=name, error=str(error))


async def _start_working_ahead(stack: AsyncExitStack, gateway: Gateway, *, ahead: bool) -> None:
    services = await stack.enter_async_context(_cancelled_at_the_end())
    await services.start(partial(gateway.warmer.run, ahead=ahead))
    for name, section in gateway.profile.upstreams.items():
        match section.watch if ahead and not isinstance(section, SearchUpstream | McpUpstream) else None:
            case Watch(interval=interval):
                released = partial(_new_release, gateway)
                await services.start(VersionWatch(gateway.catalogue.documents, name, interval, released).run)
            case FolderWatchSection(interval=interval):
                from gateway.watch.folders import FolderWatch

                changed = partial(_files_changed, gateway)
                await services.start(FolderWatch(gateway.catalogue.documents.upstreams[name], interval, changed).run)


async def _new_release(gateway: Gateway, upstream: str, _before: str, _latest: str) -> None:
    """What depends on which release is the latest is stale now; an old answer may still stand in for a failure."""
    await _made_stale(gateway, upstream, f"floating:{upstream}")


async def _files_changed(gateway: Gateway, upstream: str) -> None:
    """What was made of the folder's files is stale now: the next request looks at each again."""
    await _made_stale(gateway, upstream, f"upstream:{upstream}")


async def _made_stale(gateway: Gateway, upstream: str, tag: str) -> None:
    try:
        await gateway.pipeline.purge(Selector("tag", tag), soft=True)
    except TierError:
        if gateway.disk is not None:  # a file that could not be opened is not read, either
            raise
    finally:
        gateway.warmer.request()
        gateway.changes.announce(upstream)


def _new_definitions(gateway: Gateway, server: str) -> None:
    gateway.catalogue.refresh()
    gateway.changes.announce(server)


async def _start_servers(stack: AsyncExitStack, profile: Profile, environ: Mapping[str, str]) -> list[McpServer]:
    """The MCP servers of a profile; one of which nothing is known yet is waited for, as long as it says."""
    sections = {name: each for name, each in profile.upstreams.items() if isinstance(each, McpUpstream)}
    if not sections:
        return []
    from gateway.upstream.mcp.pins_file import PinsFile
    from gateway.upstream.mcp.server import McpServer

    services = await stack.enter_async_context(_cancelled_at_the_end())
    servers = [
        McpServer(name, section, PinsFile(profile.federation.pins, name), environ) for name, section in sections.items()
    ]
    for server in servers:
        await services.start(server.run)
    async with trio.open_nursery() as waiting:
        for server in servers:
            waiting.start_soon(server.wait_known, server.section.start_patience)
    return servers


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


async def _open_upstreams(
    stack: AsyncExitStack, downloads: trio.Nursery, profile: Profile, environ: Mapping[str, str]
) -> dict[str, Upstream]:
    """Every upstream with documents by name, save those that read through the pipeline, which is not there yet."""
    upstreams = {}
    for name, section in profile.upstreams.items():
        if not isinstance(section, SearchUpstream | McpUpstream):
            upstreams[name] = await _open_upstream(stack, downloads, profile, name, section, environ)
    return upstreams


async def _open_searches(
    stack: AsyncExitStack,
    profile: Profile,
    pipeline: Pipeline,
    upstreams: dict[str, Upstream],
    loads: trio.Nursery,
) -> None:
    """Add the searches to `upstreams`: they read documents of the others, and their own index, through the pipeline."""
    sections = {name: each for name, each in profile.upstreams.items() if isinstance(each, SearchUpstream)}
    if not sections:
        return
    from gateway.upstream.search.upstream import open_search

    documents = Documents(pipeline, upstreams)
    builds = SingleFlight[Fetched](loads)
    for name, section in sections.items():
        read = documents.reader(policy_of(section.strategy, profile.strategies[section.strategy]))
        search = open_search(name, section, upstreams[section.upstream], read, builds)
        upstreams[name] = await stack.enter_async_context(search)


async def _open_upstream(
    stack: AsyncExitStack,
    downloads: trio.Nursery,
    profile: Profile,
    name: str,
    section: HttpUpstream | NpmUpstream | FilesUpstream,
    environ: Mapping[str, str],
) -> Upstream:
    match section.type:
        case "http":
            from gateway.upstream.http.documents import open_http

            return await stack.enter_async_context(open_http(name, section, tasks=downloads))
        case "npm":
            from gateway.upstream.npm import open_npm

            # Whatever any tool or search may ask for is kept when a package has been downloaded anyway.
            fetches = [fetch for tool in profile.tools.values() for fetch in tool.documents.values()]
            searches = [each for each in profile.upstreams.values() if isinstance(each, SearchUpstream)]
            asked = [fetch for fetch in fetches if fetch.upstream == name]
            wanted = {path_glob(path) for fetch in asked for path in (fetch.path, fetch.else_path) if path is not None}
            wanted |= {path_glob(rule.path) for each in searches if each.upstream == name for rule in each.documents}
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
        case "files":
            from gateway.upstream.files import FilesDocuments

            return FilesDocuments(name, section)
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
