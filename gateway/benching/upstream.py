"""An upstream on loopback, in this process: it answers at once, so that what is measured is the gateway's way there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from urllib.parse import parse_qs, urlsplit

import orjson
import trio

from gateway.benching.surroundings import document

_CHUNK = 65536
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"


@asynccontextmanager
async def open_upstream() -> AsyncIterator[str]:
    """The address of a server that has every component, one by one (`/components/NAME`) and together (`?ids=A,B`)."""
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, _answer_all, 0, host="127.0.0.1"))
        yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


async def _answer_all(stream: trio.SocketStream) -> None:
    """Answer the requests of a connection, which have no body, until it ends."""
    buffer = b""
    async with stream:
        try:
            while chunk := await stream.receive_some(_CHUNK):
                *heads, buffer = (buffer + chunk).split(b"\r\n\r\n")
                for head in heads:
                    body = _body(head.split(b" ", 2)[1].decode("ascii"))
                    await stream.send_all(_HEAD % (len(body), body))
        except trio.BrokenResourceError:  # whoever asked has gone: nobody is left to be told
            return


def _body(target: str) -> bytes:
    parts = urlsplit(target)
    wanted = parse_qs(parts.query).get("ids")
    if wanted is None:
        return _named(parts.path.rpartition("/")[2])
    return b'{"items":[%b]}' % b",".join(_named(name) for name in wanted[0].split(","))


@lru_cache(maxsize=1)
def _form() -> bytes:
    """A document with a mark where its name belongs: made once, or the upstream's work would be measured, too."""
    return orjson.dumps(document("\x00"))


def _named(name: str) -> bytes:
    return _form().replace(rb"\u0000", name.encode())
