"""The way to an MCP server, whichever of the two its section names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from gateway.profile.upstreams.mcp import McpUpstream


def open_streams(
    name: str, section: McpUpstream, environ: Mapping[str, str], lost: Callable[[], None]
) -> AbstractAsyncContextManager[tuple[Any, Any]]:
    """The server's messages and the way to send some, for a session; leaving the block ends it.

    A command is started with what `environ` has for it. `lost` is called when the server is gone or has forgotten the
    session. Raises UpstreamUnavailable where it can't be started; a URL is not asked yet.
    """
    if section.command is not None:
        from gateway.upstream.mcp.stdio import open_stdio

        return open_stdio(name, section, environ, lost)
    from gateway.upstream.mcp.http import open_http_streams

    return open_http_streams(name, section, lost)
