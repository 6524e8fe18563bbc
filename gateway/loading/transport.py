"""Connections for a client that must not be what it measures: bytes over TCP, with TLS or without."""

from __future__ import annotations

import socket
import ssl
from typing import Protocol

import trio

_CHUNK = 65536


class Transport(Protocol):
    """A connection."""

    async def send(self, data: bytes) -> None:
        """Send everything. Raises OSError or trio.BrokenResourceError."""

    async def receive(self) -> bytes:
        """What has come, at least a byte; nothing where the server has ended. Always a checkpoint."""

    def stale(self) -> bool:
        """Whether the server has ended the connection, or says something unasked."""

    def close(self) -> None:
        """Close it at once."""


class Plain:
    """A socket, on which Trio only waits.

    Trio's own sockets and streams make every send a checkpoint, which half of a load tester's time would go to; here a
    request is one trip through the event loop.
    """

    __slots__ = ("_socket",)

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    async def send(self, data: bytes) -> None:
        """Send everything; a checkpoint only where the socket is full."""
        view = memoryview(data)
        while view:
            try:
                view = view[self._socket.send(view) :]
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._socket)

    async def receive(self) -> bytes:
        """What has come."""
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            try:
                return self._socket.recv(_CHUNK)
            except BlockingIOError:  # woken for nothing
                continue

    def stale(self) -> bool:
        """Whether there is something to read, before anything was asked."""
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def close(self) -> None:
        """Close it; whoever waits on it is told."""
        trio.lowlevel.notify_closing(self._socket)
        self._socket.close()


class Secured:
    """TLS over a socket, by Trio."""

    __slots__ = ("_closed", "_stream")

    def __init__(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        self._stream = stream
        self._closed = False

    async def send(self, data: bytes) -> None:
        """Send everything."""
        await self._stream.send_all(data)

    async def receive(self) -> bytes:
        """What has come."""
        return bytes(await self._stream.receive_some(_CHUNK))

    def stale(self) -> bool:
        """Never known ahead: a record may say so."""
        return self._closed

    def close(self) -> None:
        """Close the socket without a farewell, as browsers do."""
        self._closed = True
        self._stream.transport_stream.socket.close()


async def connected(family: int, address: tuple[str, int], tls: tuple[ssl.SSLContext, str] | None) -> Transport:
    """A connection to a numeric address; with TLS where `tls` holds a context and the server's name.

    Raises OSError, and trio.BrokenResourceError where TLS fails. Cancelling leaves no socket behind.
    """
    own = trio.socket.socket(family, socket.SOCK_STREAM)
    try:
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await own.connect(address)
        if tls is None:
            plain = socket.socket(fileno=own.detach())
            plain.setblocking(False)
            return Plain(plain)
        context, name = tls
        stream = trio.SSLStream(trio.SocketStream(own), context, server_hostname=name, https_compatible=True)
        await stream.do_handshake()
        return Secured(stream)
    except BaseException:
        own.close()
        raise
