"""Results as the bytes of a whole JSON-RPC answer: those that the SDK writes, whose models sort members by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from gateway import __version__
from gateway.profile.serving import Server
from gateway.serving.direct.message import id_bytes
from gateway.serving.protocol import SERVER_INFO

if TYPE_CHECKING:
    from gateway.serving.failures import Failure

_CALLED = ("_meta", "content", "isError", "resultType", "structuredContent")


class Wire:
    """Writes the answers of one server in both eras; `escaping` is that the modern one is ASCII, as over HTTP."""

    def __init__(self, section: Server, *, escaping: bool) -> None:
        self._escaping = escaping
        title = {"title": section.title} if section.title else {}
        self.about = {"name": section.name, **title, "version": __version__}
        """The server, as it is introduced (Implementation)."""

    def called(self, id_: int | str, result: Mapping[str, Any], *, modern: bool) -> bytes:
        """The answer to tools/call of a declared tool; raises ValueError for a result that is none of such a tool."""
        complete = {**result, "resultType": "complete"} if modern else result
        unknown = complete.keys() - _CALLED
        if unknown:
            raise ValueError(f"no member of a declared tool's result: {', '.join(sorted(unknown))}")
        members = {key: complete[key] for key in _CALLED if key in complete}
        members["content"] = [{"text": part["text"], "type": "text"} for part in members["content"]]
        return self.answered(id_, members, modern=modern)

    def answered(self, id_: int | str, result: Mapping[str, Any], *, modern: bool) -> bytes:
        """The answer with this result, whose members are in order; in the modern era it names the server, too."""
        if modern:
            result = {**result, "_meta": {**result.get("_meta", {}), SERVER_INFO: self.about}}
        return self._written({"jsonrpc": "2.0", "id": id_, "result": result}, modern=modern)

    def failed(self, id_: int | str, failure: Failure, *, modern: bool) -> bytes:
        """The answer to a request that came to nothing."""
        return self._written({"jsonrpc": "2.0", "id": id_, "error": failure.members}, modern=modern)

    def id_bytes(self, id_: int | str, *, modern: bool) -> bytes:
        """An id as it stands in an answer."""
        return id_bytes(id_, ascii_only=modern and self._escaping)

    def _written(self, answer: Mapping[str, Any], *, modern: bool) -> bytes:
        if modern and self._escaping:
            return json.dumps(answer, separators=(",", ":")).encode()
        return orjson.dumps(answer)
