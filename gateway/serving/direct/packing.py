"""Compressed answers whose end was compressed long ago, and whose beginning is made for each request.

Both formats are a sequence of blocks, and both have a block that holds bytes as they are. So an answer is its beginning
in such a block, and behind it the blocks of the end, which are kept: nothing is compressed while somebody waits.
Sources: RFC 1951 (deflate) and RFC 1952 (gzip); RFC 8878 (zstd).
"""

from __future__ import annotations

import struct
import sys
import zlib
from typing import Literal

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Coding = Literal["gzip", "zstd"]
Pieces = tuple[bytes | memoryview, ...]

_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""A member without name and time, made on whatever system (RFC 1952, section 2.3)."""
LONGEST_BEGINNING = 65535
"""Bytes: what fits into one stored block of deflate."""
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_WORTH = 0.9
"""What a compressed end may have of its size: less than a tenth saved is not worth the client's work."""
_LARGEST = 8_000_000
"""Bytes of the largest window of zstd that clients of HTTP have to take (RFC 9659); larger answers stay as they are."""


class Packed:
    """The end of answers, compressed: `spliced` puts a beginning before it."""

    __slots__ = ("_coding", "_end", "_size", "_tail", "_window")

    def __init__(self, coding: Coding, end: Pieces, tail: bytes) -> None:
        self._coding = coding
        self._end = end
        self._size = sum(map(len, end))
        self._tail = tail
        """Its blocks."""
        self._window = _window(self._size + LONGEST_BEGINNING)

    @property
    def size(self) -> int:
        """Bytes that are kept beside the end itself."""
        return len(self._tail)

    def spliced(self, beginning: bytes) -> bytes:
        """A whole answer that decompresses to `beginning` and the end; the beginning has at most 65535 bytes."""
        size = len(beginning)
        if self._coding == "zstd":
            block = (size << 3).to_bytes(3, "little")  # not the last one, raw
            return b"".join((_ZSTD_MAGIC, self._window, block, beginning, self._tail))
        check = zlib.crc32(beginning)
        for piece in self._end:
            check = zlib.crc32(piece, check)
        block = struct.pack("<BHH", 0, size, size ^ 0xFFFF)  # not the last one, stored
        return b"".join((_GZIP_HEAD, block, beginning, self._tail, struct.pack("<II", check, size + self._size)))


def packed(coding: Coding, end: Pieces) -> Packed | None:
    """The end of an answer, compressed; None where that does not save enough, or it is too large for it."""
    whole = b"".join(end)
    if len(whole) + LONGEST_BEGINNING > _LARGEST:
        return None
    tail = _deflated(whole) if coding == "gzip" else _blocks(zstd.compress(whole))
    return Packed(coding, end, tail) if len(tail) <= len(whole) * _WORTH else None


def _deflated(end: bytes) -> bytes:
    compressor = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return compressor.compress(end) + compressor.flush()


def _blocks(frame: bytes) -> bytes:
    """The blocks of a frame of zstd that has no checksum: all that follows its header (RFC 8878, section 3.1.1.1)."""
    described = frame[4]
    single, size_flag, dictionary = described >> 5 & 1, described >> 6, described & 3
    size_bytes = (1 if single else 0, 2, 4, 8)[size_flag]
    return frame[5 + (0 if single else 1) + (0, 1, 2, 4)[dictionary] + size_bytes :]


def _window(size: int) -> bytes:
    """The header of a frame that says nothing but the window, which is to hold `size` bytes (section 3.1.1.1.2)."""
    exponent = max(10, (size - 1).bit_length())
    return bytes((0, (exponent - 10) << 3))
