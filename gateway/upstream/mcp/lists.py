"""The lists of an MCP server, page by page, and how long it says that they hold."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import mcp_types as types
import structlog

from gateway.profile.upstreams.mcp import McpUpstream
from gateway.upstream.mcp.model import Definitions, Json, UpstreamRefused

log = structlog.get_logger(__name__)

_PAGES = 1000
"""Most pages of one list: a server whose list never ends is not followed for ever."""

Request = Callable[[str, Json], Awaitable[Json]]
"""A request of the gateway's own: its method and parameters."""


async def read_lists(
    name: str, section: McpUpstream, has: types.ServerCapabilities, request: Request, *, hints: bool
) -> Definitions:
    """All that the profile wants of what a server lists which says that it `has` these capabilities.

    With `hints`, its pages say how long they hold, and for whom. Raises UpstreamError.
    """
    wanted = section.federate
    reading = _Reading(name, section.max_definitions, request, hints)
    tools = await reading.all("tools/list", "tools", "tools" in wanted and has.tools is not None)
    takes_resources = "resources" in wanted and has.resources is not None
    resources = await reading.all("resources/list", "resources", takes_resources)
    templates = await reading.all("resources/templates/list", "resourceTemplates", takes_resources)
    prompts = await reading.all("prompts/list", "prompts", "prompts" in wanted and has.prompts is not None)
    return Definitions(tools, resources, templates, prompts, reading.ttl, reading.private)


class _Reading:
    """One reading of all lists: the least of what any page says counts."""

    def __init__(self, name: str, most: int, request: Request, hints: bool) -> None:
        self._name = name
        self._most = most
        self._request = request
        self._hints = hints
        self.ttl: float | None = None
        self.private = False

    async def all(self, method: str, key: str, wanted: bool) -> tuple[Json, ...]:
        found: list[Json] = []
        cursor: str | None = None
        for _ in range(_PAGES if wanted else 0):
            try:
                page = await self._request(method, {"cursor": cursor} if cursor is not None else {})
            except UpstreamRefused as error:
                if error.code != types.METHOD_NOT_FOUND:
                    raise
                break  # templates and resources are one capability, and not every server has both
            found += page[key]
            if self._hints:
                self._heed(page)
            cursor = page.get("nextCursor")
            if not cursor or len(found) >= self._most:
                break
        if len(found) > self._most:
            limit = f"upstreams.{self._name}.max_definitions"
            log.warning("an MCP server lists more than is taken over", upstream=self._name, list=key, key=limit)
        return tuple(found[: self._most])

    def _heed(self, page: Mapping[str, Any]) -> None:
        ttl = page["ttlMs"] / 1000
        self.ttl = ttl if self.ttl is None else min(self.ttl, ttl)
        self.private = self.private or page.get("cacheScope") == "private"
