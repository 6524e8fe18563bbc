"""Answers as bytes of HTTP/1.1, with the headers that the SDK and hypercorn would have sent, in their order."""

from __future__ import annotations

import time
from http import HTTPStatus
from wsgiref.handlers import format_date_time

from gateway.serving.admission import Refusal
from gateway.serving.direct.envelope import Reply

_HEADS = {
    False: b"HTTP/1.1 %d \r\ncontent-type: application/json\r\ncontent-length: %d\r\n",
    True: b"HTTP/1.1 %d \r\ncontent-length: %d\r\ncontent-type: application/json\r\n",
}
"""By era."""
_CODED = {
    "gzip": b"content-encoding: gzip\r\nvary: accept-encoding\r\n",
    "zstd": b"content-encoding: zstd\r\nvary: accept-encoding\r\n",
}


class Date:
    """The header that says when an answer was made, to the second (RFC 9110, section 6.6.1)."""

    __slots__ = ("_line", "_second")

    def __init__(self) -> None:
        self._second = 0
        self._line = b""

    def __call__(self) -> bytes:
        """The line for now."""
        second = int(time.time())
        if second != self._second:
            self._second, self._line = second, f"date: {format_date_time(second)}\r\n".encode()
        return self._line


def written(reply: Reply, date: bytes, *, modern: bool, last: bool) -> bytes:
    """The whole answer; `last` is that the connection is closed after it."""
    head = _HEADS[modern] % (reply.status, reply.size)
    coded = _CODED[reply.coding] if reply.coding is not None else b""
    return b"".join((head, coded, date, b"connection: close\r\n\r\n" if last else b"\r\n", *reply.pieces))


def refused(refusal: Refusal, date: bytes, *, last: bool) -> bytes:
    """The answer to a request that is not admitted."""
    told = b"".join(b"%b: %b\r\n" % header for header in refusal.headers)
    head = b"HTTP/1.1 %d \r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n"
    end = b"connection: close\r\n\r\n" if last else b"\r\n"
    return b"".join((head % (refusal.status, len(refusal.body)), told, date, end, refusal.body))


def refusal(status: int, sentence: str) -> bytes:
    """A short answer to what is no request, after which the connection is closed."""
    body = sentence.encode("utf-8", "replace")
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
    return f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body
