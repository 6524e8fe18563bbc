"""MCP over stdin and stdout, for one local agent."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import structlog
import trio
from mcp.server.stdio import stdio_server

from gateway.errors import GatewayError
from gateway.serving.mcp_server import build_server, notification_options
from gateway.serving.notify import Notifier
from gateway.serving.under_way import UnderWay

if TYPE_CHECKING:
    import anyio

    from gateway.assembly import Gateway

log = structlog.get_logger(__name__)

_CHUNK = 65536


async def serve_stdio(gateway: Gateway, stdin: int, stdout: int, stop: trio.Event) -> None:
    """Serve one client over two file descriptors until it closes `stdin` or `stop` is set.

    Requests under way are answered first, for at most `server.drain_timeout`; can be cancelled at any time. Reads and
    writes happen in threads, so that pipes, files and terminals all do; a thread that waits for input when this ends is
    left behind, and keeps no lock that the interpreter's exit would wait for.
    Raises GatewayError when a descriptor can't be read or written.
    """
    section = gateway.profile.server
    notifier = Notifier(gateway.changes, gateway.catalogue)
    server = build_server(gateway, notifier)
    notifier.remember_client(server)
    lines = cast("anyio.AsyncFile[str]", Lines(stdin, section.max_body_size, stop))
    out = cast("anyio.AsyncFile[str]", _Out(stdout))
    under_way = UnderWay(at_end=notifier.close)
    async with trio.open_nursery() as nursery:
        await nursery.start(notifier.run)
        nursery.start_soon(_give_up, stop, section.drain_timeout, nursery.cancel_scope)
        async with stdio_server(lines, out) as (incoming, outgoing):
            await server.run(
                under_way.reading(incoming),
                under_way.writing(outgoing),
                server.create_initialization_options(notification_options(gateway)),
            )
        nursery.cancel_scope.cancel()


async def _give_up(stop: trio.Event, patience: float, scope: trio.CancelScope) -> None:
    await stop.wait()
    await trio.sleep(patience)
    log.warning("requests under way were cut off", key="server.drain_timeout")
    scope.cancel()


@contextmanager
def protocol_stdout() -> Iterator[int]:
    """A descriptor of the real stdout, while descriptor 1 leads to stderr: a stray print can't break the protocol."""
    private = os.dup(1)
    os.dup2(2, 1)
    try:
        yield private
    finally:
        os.dup2(private, 1)
        os.close(private)


class Lines:
    """The lines of a descriptor, as text; a line longer than `limit` bytes is dropped and logged.

    They end with the descriptor or when `stop` is set, and `stop` is set then in either case.
    """

    def __init__(self, descriptor: int, limit: int, stop: trio.Event) -> None:
        self._descriptor = descriptor
        self._limit = limit
        self._stop = stop

    async def __aiter__(self) -> AsyncGenerator[str, None]:
        """Each line that is not empty, without its end; what is no UTF-8 is replaced, and then no valid message."""
        buffer = bytearray()
        dropping = False
        while chunk := await self._read():
            buffer += chunk
            *lines, rest = buffer.split(b"\n")
            for line in lines:
                if dropping or len(line) > self._limit:
                    self._drop()
                    dropping = False
                elif line.strip():
                    yield line.decode("utf-8", "replace")
            buffer = rest
            if len(buffer) > self._limit:
                buffer, dropping = bytearray(), True
        if buffer.strip() and not dropping:
            yield buffer.decode("utf-8", "replace")
        self._stop.set()

    async def _read(self) -> bytes:
        chunk = b""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._cancel_at_stop, nursery.cancel_scope)
            chunk = await trio.to_thread.run_sync(self._read_some, abandon_on_cancel=True)
            nursery.cancel_scope.cancel()
        return chunk

    async def _cancel_at_stop(self, scope: trio.CancelScope) -> None:
        await self._stop.wait()
        scope.cancel()

    def _read_some(self) -> bytes:
        try:
            return os.read(self._descriptor, _CHUNK)
        except OSError as error:
            raise GatewayError(f"stdin can't be read: {error.strerror}") from error

    def _drop(self) -> None:
        log.warning("message dropped", key="server.max_body_size", limit=self._limit)


class _Out:
    """Writes whole texts to a descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    async def write(self, text: str) -> None:
        await trio.to_thread.run_sync(_write_all, self._descriptor, text.encode(), abandon_on_cancel=True)

    async def flush(self) -> None:
        await trio.lowlevel.checkpoint()


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError as error:
        raise GatewayError(f"stdout can't be written: {error.strerror}") from error
