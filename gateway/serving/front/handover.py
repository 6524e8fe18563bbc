"""Hypercorn for single connections: those that the front does not answer itself."""

from __future__ import annotations

import socket
from typing import Any, cast

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework

from gateway.serving.hypercorn_site import until_gone


class Hypercorn:
    """Serves connections with an ASGI application, from wherever they are handed over on."""

    def __init__(self, app: ASGIFramework, config: Config) -> None:
        self._app = ASGIWrapper(until_gone(app))
        self.config = config
        """What holds for the next connections."""
        self._context = WorkerContext(None)

    async def serve(self, sock: socket.socket, read: bytes) -> None:
        """Serve until the connection is closed; `read` is what was read from it already. Takes the socket over."""
        await _Server(self._app, self.config, self._context, _Replaying(sock, read))

    async def drain(self) -> None:
        """Close connections as they get idle."""
        await self._context.terminated.set()


class _Server(TCPServer):
    """A connection that is not idle before what was read of it has been handled: in a drain it would be closed."""

    def __init__(self, app: ASGIWrapper, config: Config, context: WorkerContext, stream: _Replaying) -> None:
        super().__init__(app, config, context, {}, cast("trio.SSLStream[trio.SocketStream]", stream))
        self._replayed = stream.replayed

    async def _idle_timeout(self) -> None:
        await self._replayed.wait()
        await super()._idle_timeout()


class _Replaying:
    """A connection whose first bytes were read before; what hypercorn uses of a stream."""

    def __init__(self, sock: socket.socket, read: bytes) -> None:
        self._stream = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
        self.socket = self._stream.socket
        self._read = read
        self.replayed = trio.Event()
        """Set when hypercorn asks for more than what was read."""

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        if self._read:
            await trio.lowlevel.checkpoint()
            data, self._read = self._read[:max_bytes], self._read[max_bytes:] if max_bytes is not None else b""
            return data
        self.replayed.set()
        return await self._stream.receive_some(max_bytes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
