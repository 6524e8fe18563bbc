"""What can go wrong with a connection: each fault carries bytes between a client and a server, and does it badly.

A fault only knows two streams, so it works between sockets (`fault_proxy`) and between the pipes of processes alike.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import trio

Fault = Callable[["Link"], Awaitable[None]]
"""Carries what goes over one connection until both sides have ended."""

Change = Callable[[bytes], bytes]

GONE = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)

_LINGER_ZERO = b"\x01\0\0\0\0\0\0\0"
"""SO_LINGER on, zero seconds: closing resets the connection instead of ending it."""


@dataclass(frozen=True, slots=True)
class Link:
    """One connection: what the client sends, and what the server does. `sent` is told of the client's bytes."""

    client: trio.abc.Stream
    server: trio.abc.Stream
    sent: Callable[[bytes], None]

    async def carry(self, *, up: Carrier | None = None, down: Carrier | None = None) -> None:
        """Carry both directions until both have ended, or one breaks."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.up, up or straight)
            nursery.start_soon(self.down, down or straight)

    async def up(self, carrier: Carrier) -> None:
        """Carry what the client sends; its end ends the server's input."""
        async for data in self.client:
            self.sent(bytes(data))
            await carrier(self.server, bytes(data))
        await _end(self.server)

    async def down(self, carrier: Carrier) -> None:
        """Carry what the server sends; its end is the client's."""
        async for data in self.server:
            await carrier(self.client, bytes(data))
        await self.client.aclose()

    async def swallow(self) -> None:
        """Read what the client sends, and give nothing back."""
        async for data in self.client:
            self.sent(bytes(data))

    async def break_off(self) -> None:
        """End both connections at once, in the middle of whatever is sent."""
        await trio.aclose_forcefully(self.server)
        await trio.aclose_forcefully(self.client)

    async def reset(self) -> None:
        """End the client's connection by a TCP reset; a pipe, which has none, just ends."""
        if isinstance(self.client, trio.SocketStream):
            self.client.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, _LINGER_ZERO)
            self.client.socket.close()
        await self.break_off()


Carrier = Callable[[trio.abc.SendStream, bytes], Awaitable[None]]
"""Passes one piece on."""


async def straight(to: trio.abc.SendStream, data: bytes) -> None:
    """As it came."""
    await to.send_all(data)


async def none(link: Link) -> None:
    """All is well."""
    await link.carry()


def latency(seconds: float) -> Fault:
    """Every piece takes time, in both directions."""

    async def late(to: trio.abc.SendStream, data: bytes) -> None:
        await trio.sleep(seconds)
        await to.send_all(data)

    return lambda link: link.carry(up=late, down=late)


def bandwidth(bytes_a_second: int) -> Fault:
    """What the server sends comes at this rate."""

    async def narrow(to: trio.abc.SendStream, data: bytes) -> None:
        for at in range(0, len(data), 512):
            piece = data[at : at + 512]
            await trio.sleep(len(piece) / bytes_a_second)
            await to.send_all(piece)

    return lambda link: link.carry(down=narrow)


def slicer(size: int) -> Fault:
    """Both directions come in tiny pieces, each a segment of its own."""

    async def sliced(to: trio.abc.SendStream, data: bytes) -> None:
        for at in range(0, len(data), size):
            await to.send_all(data[at : at + size])
            await trio.lowlevel.checkpoint()

    async def fault(link: Link) -> None:
        for stream in (link.client, link.server):
            if isinstance(stream, trio.SocketStream):
                stream.setsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY, 1)
        await link.carry(up=sliced, down=sliced)

    return fault


def slow_close(seconds: float) -> Fault:
    """The server's end takes time to arrive."""

    async def fault(link: Link) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(link.up, straight)
            async for data in link.server:
                await link.client.send_all(data)
            await trio.sleep(seconds)
            await link.client.aclose()

    return fault


async def timeout(link: Link) -> None:
    """Accepted, read, never answered."""
    await link.swallow()


async def reset(link: Link) -> None:
    """Reset as soon as something is asked."""
    link.sent(bytes(await link.client.receive_some()))
    await link.reset()


def cut(after: int) -> Fault:
    """The server's bytes end after so many, and with them the connection."""
    return _limited(after, Link.break_off)


def half_open(after: int) -> Fault:
    """The server's bytes end after so many, and nobody says so: the connection stays, silent."""
    return _limited(after, Link.swallow)


def cut_body(after: int) -> Fault:
    """As `cut`, counted from the end of the server's headers on: the middle of a chunk, or of an event."""
    return _limited(after, Link.break_off, marker=b"\r\n\r\n")


def _limited(after: int, then: Callable[[Link], Awaitable[None]], marker: bytes = b"") -> Fault:
    async def fault(link: Link) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(link.up, straight)
            head, left = bytearray(), after
            counting = not marker
            async for data in link.server:
                if not counting:
                    head += data
                    counting = marker in head
                    left += len(data) - (len(head.partition(marker)[2]) if counting else 0)
                await link.client.send_all(data[:left])
                left -= len(data)
                if left <= 0:
                    break
            nursery.cancel_scope.cancel()
        await then(link)

    return fault


def changed(change: Change) -> Fault:
    """What the server sends is changed, piece by piece."""

    async def other(to: trio.abc.SendStream, data: bytes) -> None:
        await to.send_all(change(data))

    return lambda link: link.carry(down=other)


def garbage_status_line(data: bytes) -> bytes:
    """The first line of an answer is no status line."""
    return re.sub(rb"\AHTTP/1\.[01] ", b"\x00\xffgarbage ", data)


def other_length(difference: int) -> Change:
    """The answer says that it is longer, or shorter, than it is."""

    def change(data: bytes) -> bytes:
        def other(match: re.Match[bytes]) -> bytes:
            return b"%s%d" % (match[1], int(match[2]) + difference)

        return re.sub(rb"(?i)(\r\ncontent-length: *)(\d+)", other, data, count=1)

    return change


def bad_gzip(data: bytes) -> bytes:
    """A byte in the middle of a compressed body is another; a body that is not compressed says that it is."""
    head, end, body = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1."):
        return data
    if b"content-encoding: gzip" not in head.lower():
        return b"%s\r\nContent-Encoding: gzip%s%s" % (head, end, body)
    middle = len(body) // 2
    return head + end + body[:middle] + bytes([body[middle] ^ 0x40]) + body[middle + 1 :]


def garbage_line(data: bytes) -> bytes:
    """Lines that are no messages, in place of those that are."""
    return re.sub(rb"[^\n]+", b"\x00\xff{garbage", data)


def half_lines(data: bytes) -> bytes:
    """Each message loses its second half."""
    return re.sub(rb"[^\n]+", lambda line: line[0][: len(line[0]) // 2], data)


async def _end(stream: trio.abc.Stream) -> None:
    """No more is sent; what comes back is still read."""
    with suppress(*GONE):
        if isinstance(stream, trio.abc.HalfCloseableStream):
            await stream.send_eof()
