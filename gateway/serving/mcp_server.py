"""The gateway as an MCP server: the SDK's low-level server over the catalogue, both protocol eras."""

from __future__ import annotations

import hashlib
from typing import Any

import mcp_types as types
import orjson
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from starlette.requests import Request

from gateway import __version__
from gateway.assembly import Gateway
from gateway.errors import UnknownTool
from gateway.serving.notify import Notifier


def build_server(gateway: Gateway, notifier: Notifier) -> Server[Any]:
    """A server that lists and calls the tools of `gateway`, and lets clients listen for what `notifier` tells."""
    catalogue, section = gateway.catalogue, gateway.profile.server
    listed = types.ListToolsResult(
        tools=[types.Tool.model_validate(definition) for definition in catalogue.definitions],
        ttl_ms=round(section.list_ttl * 1000),
        cache_scope="public",
    )

    async def list_tools(_context: Any, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        if params is not None and params.cursor is not None:
            raise MCPError(code=types.INVALID_PARAMS, message="Unknown cursor: the list of tools has one page")
        return listed

    async def call_tool(context: Any, params: types.CallToolRequestParams) -> dict[str, Any]:
        try:
            result = await catalogue.call(
                params.name, params.arguments, caller=_caller(context.request), meta=context.meta
            )
        except UnknownTool as error:
            raise MCPError(code=types.INVALID_PARAMS, message=str(error)) from error
        # The SDK drops `resultType` for clients of the handshake era, who do not know it.
        return {**orjson.loads(result.payload), "resultType": "complete"}

    def input_schema(name: str) -> dict[str, Any] | None:
        tool = catalogue.tools.get(name)
        return None if tool is None else tool.arguments.schema

    server: Server[Any] = Server(
        section.name,
        version=__version__,
        title=section.title or None,
        instructions=section.instructions or None,
        on_list_tools=list_tools,
        on_subscriptions_listen=notifier.listen,
        get_tool_input_schema=input_schema,
    )
    server.add_request_handler("tools/call", types.CallToolRequestParams, call_tool)
    return server


def _caller(request: Request | None) -> str:
    """Who asks, for strategies whose answers are private: whoever holds this credential; over stdio, the one client.

    It is a hash, since it stands in keys. Whether the credential is good is for whatever stands in front to say.
    """
    credential = request.headers.get("authorization", "") if request is not None else ""
    return hashlib.blake2b(credential.encode(), digest_size=12).hexdigest() if credential else ""
