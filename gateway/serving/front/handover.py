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


class Hypercorn:
    """Serves connections with an ASGI application, from wherever they are handed over on."""

    def __init__(self, app: ASGIFramework, config: Config) -> None:
        self._app = ASGIWrapper(app)
        self._config = config
        self._open: set[_Replaying] = set()
        self._draining = False

    async def serve(self, sock: socket.socket, read: bytes) -> None:
        """Serve until the connection is closed; `read` is what was read from it already. Takes the socket over."""
        stream = _Replaying(sock, read)
        self._open.add(stream)
        if self._draining:
            stream.end_when_idle()
        try:
            await TCPServer(
                self._app, self._config, stream.context, {}, cast("trio.SSLStream[trio.SocketStream]", stream)
            )
        finally:
            self._open.discard(stream)

    async def drain(self) -> None:
        """Close connections as they get idle."""
        self._draining = True
        for stream in list(self._open):
            stream.end_when_idle()
            if stream.replayed:
                await stream.context.terminated.set()


class _Replaying:
    """A connection whose first bytes were read before; what hypercorn uses of a stream.

    Until it has seen those bytes hypercorn takes the connection for idle, and would close it in a drain.
    """

    def __init__(self, sock: socket.socket, read: bytes) -> None:
        self._stream = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
        self.socket = self._stream.socket
        self.context = WorkerContext(None)
        self.replayed = False
        self._read = read
        self._ending = False

    def end_when_idle(self) -> None:
        """Tell hypercorn of a drain once it has seen all that was read."""
        self._ending = True

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        if self._read:
            await trio.lowlevel.checkpoint()
            data, self._read = self._read[:max_bytes], self._read[max_bytes:] if max_bytes is not None else b""
            return data
        if not self.replayed:
            self.replayed = True
            if self._ending:
                await self.context.terminated.set()
        return await self._stream.receive_some(max_bytes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
