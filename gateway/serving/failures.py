"""Our errors as the protocol's."""

from __future__ import annotations

import mcp_types as types

from gateway.errors import GatewayError, ToolError, UnknownPrompt, UnknownResource, UnknownTool
from gateway.upstream.mcp.model import UpstreamRefused


def error_data(error: GatewayError) -> types.ErrorData:
    """What a client is told of a request that ended with `error`."""
    match error:
        case UpstreamRefused():
            return types.ErrorData(code=error.code, message=str(error), data=error.data)
        case UnknownResource():  # MCP 2026-07-28, "Resources", error handling: which one it was
            return types.ErrorData(code=types.INVALID_PARAMS, message=str(error), data={"uri": error.uri})
        case UnknownTool() | UnknownPrompt() | ToolError():
            return types.ErrorData(code=types.INVALID_PARAMS, message=str(error))
        case _:
            return types.ErrorData(code=types.INTERNAL_ERROR, message=str(error))
