"""Our errors as the protocol's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.errors import GatewayError, ToolError, UnknownPrompt, UnknownResource, UnknownTool
from gateway.serving.protocol import INTERNAL_ERROR, INVALID_PARAMS
from gateway.upstream.mcp.model import UpstreamRefused


@dataclass(frozen=True, slots=True)
class Failure:
    """An error of JSON-RPC."""

    code: int
    message: str
    data: Any = None
    """None: there is none."""

    @property
    def members(self) -> dict[str, Any]:
        """It as an object of JSON."""
        about = {"code": self.code, "message": self.message}
        return about if self.data is None else {**about, "data": self.data}


INTERNAL = Failure(INTERNAL_ERROR, "Internal server error")
"""What a client is told of what is wrong inside: the rest is for the log."""


def failure_of(error: GatewayError) -> Failure:
    """What a client is told of a request that ended with `error`."""
    match error:
        case UpstreamRefused():
            return Failure(error.code, str(error), error.data)
        case UnknownResource():  # MCP 2026-07-28, "Resources", error handling: which one it was
            return Failure(INVALID_PARAMS, str(error), {"uri": error.uri})
        case UnknownTool() | UnknownPrompt() | ToolError():
            return Failure(INVALID_PARAMS, str(error))
        case _:
            return Failure(INTERNAL_ERROR, str(error))
