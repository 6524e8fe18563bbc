"""The lines of a descriptor, of which each is a message."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import trio

from gateway.serving.stdio.descriptors import Input


class Lines:
    """The lines of a descriptor, as bytes; a line longer than `limit` bytes is dropped and logged.

    They end with the descriptor or when `end` is called.
    """

    def __init__(self, descriptor: int, limit: int, read: bytes = b"") -> None:
        """`read` is what was read before."""
        self._input = Input(descriptor)
        self._before = read
        self._limit = limit
        self._reading = trio.CancelScope()
        self._ended = False

    def end(self) -> None:
        """Let no more come."""
        self._ended = True
        self._reading.cancel()

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """Each line that is not empty, without its end."""
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
                    yield bytes(line)
            buffer = rest
            if len(buffer) > self._limit:
                buffer, dropping = bytearray(), True
        if buffer.strip() and not dropping:
            yield bytes(buffer)

    async def _read(self) -> bytes:
        """The next bytes; none at the end."""
        if self._before:
            before, self._before = self._before, b""
            await trio.lowlevel.checkpoint()
            return before
        with trio.CancelScope() as self._reading:
            return b"" if self._ended else await self._input.read()
        return b""

    def _drop(self) -> None:
        import structlog  # not before there is something to say: the client waits for all that is imported

        structlog.get_logger(__name__).warning("message dropped", key="server.max_body_size", limit=self._limit)
