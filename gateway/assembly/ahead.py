"""Starts what works ahead of requests: warming, and watching for what makes kept answers stale."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

import structlog
import trio

from gateway.assembly.core import Core
from gateway.assembly.gateway import Gateway
from gateway.assembly.nurseries import cancelled_at_the_end
from gateway.errors import PurgePending, TierError
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.pipeline import Pipeline
from gateway.profile.profile import Profile
from gateway.profile.upstreams.files import FolderWatch as FolderWatchSection
from gateway.profile.upstreams.mcp import McpUpstream
from gateway.profile.upstreams.releases import Watch
from gateway.profile.upstreams.search import SearchUpstream
from gateway.watch.folders import FolderWatch
from gateway.watch.versions import VersionWatch

if TYPE_CHECKING:
    from gateway.tiers.disk import DiskTier

# What only some profiles need is imported where it is opened: a gateway over stdio starts with its agent.


log = structlog.get_logger(__name__)


async def look_at_files_again(
    profile: Profile, fresh: Collection[str], pipeline: Pipeline, disk: DiskTier | None
) -> None:
    """What changed in a folder while nobody watched it is not in what was kept on disk, so that is stale.

    `fresh` are the upstreams that were not there before.
    """
    for name in fresh:
        if profile.upstreams[name].type != "files" or disk is None:
            continue
        try:
            await pipeline.purge_here(Selector("tag", f"upstream:{name}"), soft=True)
        except TierError as error:
            log.warning("files that changed may be seen late", upstream=name, error=str(error))


async def start_working_ahead(stack: AsyncExitStack, core: Core, gateway: Gateway, *, ahead: bool) -> None:
    """Warm, and watch for new releases and changed files; with `ahead` false, only be ready to warm when asked."""
    services = await stack.enter_async_context(cancelled_at_the_end())
    async with trio.open_nursery() as starting:  # all at once: a folder may be waited for
        for watch in _watches(core, gateway) if ahead else ():
            starting.start_soon(services.start, watch.run)
    await services.start(partial(gateway.warmer.run, ahead=ahead))


def _watches(core: Core, gateway: Gateway) -> Iterator[VersionWatch | FolderWatch]:
    for name, section in gateway.profile.upstreams.items():
        match section.watch if not isinstance(section, SearchUpstream | McpUpstream) else None:
            case Watch(interval=interval):
                released = partial(_new_release, gateway)
                yield VersionWatch(gateway.catalogue.documents, name, interval, released, core.releases)
            case FolderWatchSection(interval=interval):
                changed = partial(_files_changed, gateway)
                yield FolderWatch(gateway.catalogue.documents.upstreams[name], interval, changed, core.folders)


async def _new_release(gateway: Gateway, upstream: str, _before: str, _latest: str) -> None:
    """What depends on which release is the latest is stale now; an old answer may still stand in for a failure."""
    await _made_stale(gateway, upstream, f"floating:{upstream}", gateway.pipeline.purge)


async def _files_changed(gateway: Gateway, upstream: str) -> None:
    """What was made of the folder's files is stale now: the next request looks at each again."""
    await _made_stale(gateway, upstream, f"upstream:{upstream}", gateway.pipeline.purge_here)


async def _made_stale(gateway: Gateway, upstream: str, tag: str, purge: Callable[..., Awaitable[int]]) -> None:
    try:
        await purge(Selector("tag", tag), soft=True)
    except PurgePending as error:
        log.warning("other instances are told of it later", upstream=upstream, error=str(error))
    except TierError:
        if gateway.disk is not None:  # a file that could not be opened is not read, either
            raise
    finally:
        gateway.warmer.request()
        gateway.changes.announce(upstream)


def new_definitions(gateway: Gateway, server: str) -> None:
    """A server offers something else now."""
    gateway.catalogue.refresh()
    gateway.changes.announce(server)
