"""Opens upstreams: those that are asked for documents, searches among them, and MCP servers.

Each is a part that outlives a reload which says nothing new of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

import trio

from gateway.assembly.core import Core
from gateway.assembly.nurseries import cancelled_at_the_end
from gateway.catalogue.documents import Documents
from gateway.catalogue.policies import policy_of
from gateway.catalogue.template import path_glob
from gateway.pipeline.single_flight import SingleFlight
from gateway.profile.profile import Profile
from gateway.profile.tiers import Strategy
from gateway.profile.upstreams.files import FilesUpstream
from gateway.profile.upstreams.http import HttpUpstream
from gateway.profile.upstreams.mcp import McpUpstream
from gateway.profile.upstreams.npm import NpmUpstream
from gateway.profile.upstreams.search import SearchUpstream
from gateway.upstream.model import Fetched, Upstream

if TYPE_CHECKING:
    from gateway.upstream.mcp.server import McpServer

# What only some profiles need is imported where it is opened: a gateway over stdio starts with its agent.


async def hold_upstreams(stack: AsyncExitStack, core: Core, profile: Profile) -> dict[str, Upstream]:
    """Every upstream with documents by name.

    Searches read documents of the others, and their own index, through the pipeline.
    """
    upstreams: dict[str, Upstream] = {}
    for name, section in profile.upstreams.items():
        if not isinstance(section, SearchUpstream | McpUpstream):
            wanted = _wanted(profile, name)
            opening = partial(_open_upstream, name, section, wanted, core.environ)
            upstreams[name] = await core.parts.hold(stack, (section.type, name, section, wanted), opening)
    for name, section in profile.upstreams.items():
        if isinstance(section, SearchUpstream):
            strategy = profile.strategies[section.strategy]
            listing = section.listing.upstream if section.listing is not None else None
            read = {each: upstreams[each] for each in (section.upstream, listing or section.upstream)}
            about = section.type, name, section, read, strategy
            searching = partial(_open_search, name, section, read, strategy, core)
            upstreams[name] = await core.parts.hold(stack, about, searching)
    return upstreams


async def hold_servers(stack: AsyncExitStack, core: Core, profile: Profile) -> list[McpServer]:
    """The MCP servers of a profile; one of which nothing is known yet is waited for, as long as it says."""
    servers: list[McpServer] = []
    for name, section in profile.upstreams.items():
        if isinstance(section, McpUpstream):
            about = section.type, name, section, profile.federation.pins
            opening = partial(_open_server, name, section, profile.federation.pins, core.environ)
            servers.append(await core.parts.hold(stack, about, opening))
    async with trio.open_nursery() as waiting:
        for server in servers:
            waiting.start_soon(server.wait_known, server.section.start_patience)
    return servers


def _wanted(profile: Profile, name: str) -> frozenset[str]:
    """Whatever any tool or search may ask for: it is kept when a package has been downloaded anyway."""
    fetches = [fetch for tool in profile.tools.values() for fetch in tool.documents.values()]
    searches = [each for each in profile.upstreams.values() if isinstance(each, SearchUpstream)]
    asked = [fetch for fetch in fetches if fetch.upstream == name]
    wanted = {path_glob(path) for fetch in asked for path in (fetch.path, fetch.else_path) if path is not None}
    rules = [rule for each in searches if each.upstream == name for rule in each.documents]
    return frozenset(wanted | {path_glob(rule.path) for rule in rules})


@asynccontextmanager
async def _open_upstream(
    name: str,
    section: HttpUpstream | NpmUpstream | FilesUpstream,
    wanted: frozenset[str],
    environ: Mapping[str, str],
) -> AsyncIterator[Upstream]:
    async with cancelled_at_the_end() as downloads, AsyncExitStack() as stack:
        match section.type:
            case "http":
                from gateway.upstream.http.documents import open_http

                upstream: Upstream = await stack.enter_async_context(open_http(name, section, tasks=downloads))
            case "npm":
                from gateway.upstream.npm import open_npm

                upstream = await stack.enter_async_context(
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

                upstream = FilesDocuments(name, section)
            case _:
                assert_never(section)
        stack.callback(downloads.cancel_scope.cancel)  # before the connections that they use are closed
        yield upstream


@asynccontextmanager
async def _open_search(
    name: str, section: SearchUpstream, others: Mapping[str, Upstream], strategy: Strategy, core: Core
) -> AsyncIterator[Upstream]:
    from gateway.upstream.search.upstream import open_search

    upstreams = dict(others)  # and this one itself, whose index is kept as a document
    read = Documents(core.pipeline, upstreams).reader(policy_of(section.strategy, strategy))
    builds = SingleFlight[Fetched](core.loads)
    async with open_search(name, section, others[section.upstream], read, builds) as search:
        upstreams[name] = search
        yield search


@asynccontextmanager
async def _open_server(
    name: str, section: McpUpstream, pins: str, environ: Mapping[str, str]
) -> AsyncIterator[McpServer]:
    from gateway.upstream.mcp.pins_file import PinsFile
    from gateway.upstream.mcp.server import McpServer

    server = McpServer(name, section, PinsFile(pins, name), environ)
    async with cancelled_at_the_end() as services:
        await services.start(server.run)
        yield server


def _home() -> Path:
    """The user's home folder, or the root folder for one that has none, as in a container."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")
