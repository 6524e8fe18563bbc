"""Results as the bytes of a whole JSON-RPC answer, by the same steps as the SDK takes: its models and its writers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import mcp_types as types
from mcp_types.methods import serialize_server_result
from mcp_types.version import LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION

from gateway import __version__
from gateway.profile.serving import Server

SERVER_INFO = types.SERVER_INFO_META_KEY


class Wire:
    """Writes the answers of one server in both eras."""

    def __init__(self, section: Server) -> None:
        about = types.Implementation(name=section.name, version=__version__, title=section.title or None)
        self._about = about.model_dump(by_alias=True, mode="json", exclude_none=True)

    def called(self, id_: int | str, result: Mapping[str, Any], *, modern: bool) -> bytes:
        """The answer to tools/call. Raises ValidationError for a result that the revision can't express."""
        complete = {"resultType": "complete", **result}
        if not modern:
            shaped = serialize_server_result("tools/call", LATEST_HANDSHAKE_VERSION, complete)
            answer = types.JSONRPCResponse(jsonrpc="2.0", id=id_, result=shaped)
            return answer.model_dump_json(by_alias=True, exclude_unset=True).encode()
        shaped = serialize_server_result("tools/call", LATEST_MODERN_VERSION, complete)
        shaped["_meta"] = {**(shaped.get("_meta") or {}), SERVER_INFO: self._about}
        return _ascii(types.JSONRPCResponse(jsonrpc="2.0", id=id_, result=shaped))

    def failed(self, id_: int | str, error: types.ErrorData, *, modern: bool) -> bytes:
        """The answer to a request that came to nothing."""
        answer = types.JSONRPCError(jsonrpc="2.0", id=id_, error=error)
        return _ascii(answer) if modern else answer.model_dump_json(by_alias=True, exclude_unset=True).encode()


def _ascii(answer: types.JSONRPCResponse | types.JSONRPCError) -> bytes:
    return json.dumps(answer.model_dump(mode="json", by_alias=True, exclude_none=True), separators=(",", ":")).encode()
