"""Opens upstreams: those that are asked for documents, searches among them, and MCP servers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

import trio

from gateway.assembly.nurseries import cancelled_at_the_end
from gateway.catalogue.documents import Documents
from gateway.catalogue.policies import policy_of
from gateway.catalogue.template import path_glob
from gateway.pipeline.pipeline import Pipeline
from gateway.pipeline.single_flight import SingleFlight
from gateway.profile.profile import Profile
from gateway.profile.upstreams.files import FilesUpstream
from gateway.profile.upstreams.http import HttpUpstream
from gateway.profile.upstreams.mcp import McpUpstream
from gateway.profile.upstreams.npm import NpmUpstream
from gateway.profile.upstreams.search import SearchUpstream
from gateway.upstream.model import Fetched, Upstream

if TYPE_CHECKING:
    from gateway.upstream.mcp.server import McpServer

# What only some profiles need is imported where it is opened: a gateway over stdio starts with its agent.


async def open_upstreams(
    stack: AsyncExitStack, downloads: trio.Nursery, profile: Profile, environ: Mapping[str, str]
) -> dict[str, Upstream]:
    """Every upstream with documents by name, save those that read through the pipeline, which is not there yet."""
    upstreams = {}
    for name, section in profile.upstreams.items():
        if not isinstance(section, SearchUpstream | McpUpstream):
            upstreams[name] = await _open_upstream(stack, downloads, profile, name, section, environ)
    return upstreams


async def open_searches(
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


async def start_servers(stack: AsyncExitStack, profile: Profile, environ: Mapping[str, str]) -> list[McpServer]:
    """The MCP servers of a profile; one of which nothing is known yet is waited for, as long as it says."""
    sections = {name: each for name, each in profile.upstreams.items() if isinstance(each, McpUpstream)}
    if not sections:
        return []
    from gateway.upstream.mcp.pins_file import PinsFile
    from gateway.upstream.mcp.server import McpServer

    services = await stack.enter_async_context(cancelled_at_the_end())
    servers = [
        McpServer(name, section, PinsFile(profile.federation.pins, name), environ) for name, section in sections.items()
    ]
    for server in servers:
        await services.start(server.run)
    async with trio.open_nursery() as waiting:
        for server in servers:
            waiting.start_soon(server.wait_known, server.section.start_patience)
    return servers
