"""MCP over stdin and stdout, for one local agent."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import structlog
import trio
from mcp.server.stdio import stdio_server

from gateway.serving.mcp_server import build_server

if TYPE_CHECKING:
    import anyio

    from gateway.assembly import Gateway

log = structlog.get_logger(__name__)

_CHUNK = 65536


async def serve_stdio(gateway: Gateway, stdin: int, stdout: int) -> None:
    """Serve one client over two file descriptors until it closes `stdin`; can be cancelled at any time.

    Reads and writes happen in threads, so that pipes, files and terminals all do; a thread that waits for input when
    this is cancelled is left behind, and keeps no lock that the interpreter's exit would wait for.
    """
    server = build_server(gateway)
    lines = cast("anyio.AsyncFile[str]", _Lines(stdin, gateway.profile.server.max_body_size))
    out = cast("anyio.AsyncFile[str]", _Out(stdout))
    async with stdio_server(lines, out) as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


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


class _Lines:
    """The lines of a descriptor, as text; a line longer than `limit` bytes is dropped and logged."""

    def __init__(self, descriptor: int, limit: int) -> None:
        self._descriptor = descriptor
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[str]:
        buffer = bytearray()
        dropping = False
        while chunk := await trio.to_thread.run_sync(os.read, self._descriptor, _CHUNK, abandon_on_cancel=True):
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
    while view:
        view = view[os.write(descriptor, view) :]
