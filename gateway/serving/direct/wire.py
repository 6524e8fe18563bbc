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
from gateway.serving.direct.message import id_bytes

SERVER_INFO = types.SERVER_INFO_META_KEY


class Wire:
    """Writes the answers of one server in both eras; `escaping` is that the modern one is ASCII, as over HTTP."""

    def __init__(self, section: Server, *, escaping: bool) -> None:
        self._escaping = escaping
        about = types.Implementation(name=section.name, version=__version__, title=section.title or None)
        self._about = about.model_dump(by_alias=True, mode="json", exclude_none=True)

    def called(self, id_: int | str, result: Mapping[str, Any], *, modern: bool) -> bytes:
        """The answer to tools/call. Raises ValidationError for a result that the revision can't express."""
        complete = {"resultType": "complete", **result}
        if not modern:
            shaped = serialize_server_result("tools/call", LATEST_HANDSHAKE_VERSION, complete)
            return self._written(types.JSONRPCResponse(jsonrpc="2.0", id=id_, result=shaped), modern=modern)
        shaped = serialize_server_result("tools/call", LATEST_MODERN_VERSION, complete)
        shaped["_meta"] = {**(shaped.get("_meta") or {}), SERVER_INFO: self._about}
        return self._written(types.JSONRPCResponse(jsonrpc="2.0", id=id_, result=shaped), modern=modern)

    def failed(self, id_: int | str, error: types.ErrorData, *, modern: bool) -> bytes:
        """The answer to a request that came to nothing."""
        return self._written(types.JSONRPCError(jsonrpc="2.0", id=id_, error=error), modern=modern)

    def id_bytes(self, id_: int | str, *, modern: bool) -> bytes:
        """An id as it stands in an answer."""
        return id_bytes(id_, ascii_only=modern and self._escaping)

    def _written(self, answer: types.JSONRPCResponse | types.JSONRPCError, *, modern: bool) -> bytes:
        if not (modern and self._escaping):
            return answer.model_dump_json(by_alias=True, exclude_unset=True).encode()
        members = answer.model_dump(mode="json", by_alias=True, exclude_none=True)
        return json.dumps(members, separators=(",", ":")).encode()
