"""The body of an answer, read and decompressed in bounded memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass

import httpx2
import trio

from gateway.errors import UpstreamError, UpstreamInvalid
from gateway.printable import printable
from gateway.profile.units import format_size

_PIECE = 1 << 20
"""Most bytes that one step of decompression yields: about 3 ms, then other tasks get their turn."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Most bytes that an answer may have, and the key of the upstream's table that says so."""

    size: int
    key: str

    def exceeded(self, upstream: str, what: str) -> UpstreamError:
        """The error that names the limit and its key."""
        return UpstreamInvalid(
            upstream, f"{what} is larger than {format_size(self.size)} (upstreams.{upstream}.{self.key})"
        )


class Gunzip:
    """Decompresses a gzip stream, of one or more members (RFC 1952, section 2.2), in pieces of at most 1 MiB.

    Raises zlib.error for anything else, and from `finish` when the stream was cut off: httpx2's decoder takes a stream
    without its end, and so without its checksum, for whole.
    """

    def __init__(self) -> None:
        self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._started = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The decompressed pieces that `data` completes; some may be empty."""
        while data:
            if self._member.eof:
                self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            self._started = True
            yield self._member.decompress(data, _PIECE)
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail

    def finish(self) -> None:
        """Check that the stream is whole; an empty one is."""
        if self._started and not self._member.eof:
            raise zlib.error("the compressed data ends too early")


async def read_body(upstream: str, response: httpx2.Response, bound: Bound) -> bytes:
    """The whole body of `response`, decompressed; never more than `bound` of it is held, compressed or not.

    Raises UpstreamInvalid for a body that is too large, declares that it will be, is no gzip although it says so, or
    uses a coding that was not asked for (more than one is never asked for).
    """
    declared = response.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > bound.size:
        raise bound.exceeded(upstream, "the answer")
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "", "gzip", "x-gzip"):
        raise UpstreamInvalid(upstream, f"the answer's Content-Encoding {printable(coding)!r} was not asked for")
    gunzip = Gunzip() if coding.endswith("gzip") else None
    body = bytearray()
    received = 0
    try:
        async with aclosing(response.aiter_raw()) as chunks:
            async for chunk in chunks:
                received += len(chunk)
                if received > bound.size:
                    raise bound.exceeded(upstream, "the answer")
                for piece in gunzip.feed(chunk) if gunzip is not None else (chunk,):
                    body += piece
                    if len(body) > bound.size:
                        raise bound.exceeded(upstream, "the answer")
                    if len(piece) == _PIECE:
                        await trio.lowlevel.checkpoint()
        if gunzip is not None:
            gunzip.finish()
    except zlib.error as error:
        raise UpstreamInvalid(upstream, f"the answer said it was gzip but is not: {printable(str(error))}") from error
    return bytes(body)
