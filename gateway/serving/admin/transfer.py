"""Requests and what they carry: JSON that is read strictly, exports and imports in files without a name."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from typing import IO, Any, cast

import orjson
import trio
from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGIReceiveEvent, ASGISendCallable, Scope
from quart_trio.wrappers import TrioRequest
from quart_trio.wrappers.request import TrioBody
from werkzeug.exceptions import BadRequest

IMPORT = "/api/cache/import"
"""Whose body may be of any size: it is a warm cache, and goes to a file as it comes."""

_CHUNK = 65_536
_AHEAD = 1_000_000
"""Bytes of an import that are taken from the network before they are written."""
_BODY = "gateway.body"
"""Where the request's scope holds its body."""


class Spool:
    """A file without a name: it is gone with the last who knows this, also after a kill."""

    def __init__(self) -> None:
        self.file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed below

    def __del__(self) -> None:
        """Close it; an answer that nobody began to read has no other end."""
        self.file.close()

    async def write(self, chunk: bytes) -> None:
        """Append `chunk`. Raises OSError."""
        await trio.to_thread.run_sync(self.file.write, chunk)

    async def chunks(self) -> AsyncIterator[bytes]:
        """All of it, from its beginning."""
        await trio.to_thread.run_sync(self.file.seek, 0)
        while chunk := await trio.to_thread.run_sync(self.file.read, _CHUNK):
            yield chunk


class _SteadyBody(TrioBody):
    """A body that says when there is room for more of it; Quart's own takes whatever comes."""

    def __init__(self, expected_content_length: int | None, max_content_length: int | None) -> None:
        super().__init__(expected_content_length, max_content_length)
        self._room = trio.Event()
        self._room.set()

    def append(self, data: bytes) -> None:
        super().append(data)
        if len(self._data) > _AHEAD:
            self._room = trio.Event()

    async def __anext__(self) -> bytes:
        data = await super().__anext__()
        self._room.set()
        return data

    async def wait_room(self) -> None:
        await self._room.wait()


class AdminRequest(TrioRequest):
    """A request whose body Quart limits to 16 MB, unless it is an import: that has no limit, and is not read ahead.

    JSON is read by orjson: the standard library's gives up on bytes that are no UTF-8, and on a hundred thousand
    brackets, in ways that Quart takes for mistakes of ours.
    """

    def __init__(self, *args: Any, max_content_length: int | None = None, **more: Any) -> None:
        imports = args[2] == IMPORT  # method, scheme, path, ...
        super().__init__(*args, max_content_length=None if imports else max_content_length, **more)
        if imports:
            self.body = cast("dict[str, Any]", self.scope)[_BODY] = _SteadyBody(None, None)

    async def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> dict[str, Any]:
        """The body, which is to be a JSON object, in UTF-8 and not too deep. Raises BadRequest with a sentence."""
        if not self.is_json:
            raise BadRequest("Content-Type: expected application/json")
        try:
            found = orjson.loads(await self.get_data())
        except ValueError as error:
            raise BadRequest(f"the body: expected a JSON object: {error}") from error
        if not isinstance(found, dict):
            raise BadRequest("the body: expected a JSON object, found something else")
        return found


def reading_steadily(app: ASGIFramework) -> ASGIFramework:
    """`app`, which gets no more of an import while it has enough to write: the client has to wait."""

    async def steady(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        async def receive_steadily() -> ASGIReceiveEvent:
            body = scope.get(_BODY)
            if isinstance(body, _SteadyBody):
                await body.wait_room()
            return await receive()

        await app(scope, receive_steadily, send)

    return steady
