"""An entry as bytes for a tier outside this process: msgpack, zstd where it pays, and a checksum. Never pickle."""

from __future__ import annotations

import hashlib
import struct
import sys
from collections.abc import Callable
from typing import Any, Generic, Literal, TypeVar

import msgpack

from gateway.pipeline.model import Entry, Outcome, Priority

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

T = TypeVar("T")

FORMAT = 2
"""Raised whenever the layout changes. Format 1, which had no outcome and no stamp, still decodes."""

MAX_PAYLOAD = 256_000_000
"""No entry is larger; a row that says so is damaged."""

DamageKind = Literal["checksum", "format", "body"]

_CHECKSUM = 16
_HEADER = struct.Struct(">BI")
_STAMP = struct.Struct(">q")
_LEVEL = 3


class DamagedRowError(Exception):
    """Bytes that are no entry, or not the entry of that key; `kind` is what did not fit."""

    def __init__(self, kind: DamageKind, message: str) -> None:
        self.kind: DamageKind = kind
        super().__init__(message)


class Codec:
    """Encodes entries; payloads of at least `threshold` bytes are compressed when that saves the part `gain`.

    Up to `pool_size` idle packers and compressors are kept for reuse, also by several threads. A kept compressor takes
    2.5 us for 2 kB where a new one takes 16 (its tables have to be made), a kept packer 0.7 us in place of 1.3.
    Decompressors are not kept: the standard library's ends with its frame.
    """

    __slots__ = ("_compressors", "_gain", "_packers", "_threshold")

    def __init__(self, threshold: int, gain: float, pool_size: int = 50) -> None:
        self._threshold = threshold
        self._gain = gain
        self._packers: _Pool[Any] = _Pool(pool_size, lambda: msgpack.Packer(use_bin_type=True))
        self._compressors = _Pool(pool_size, lambda: zstd.ZstdCompressor(level=_LEVEL))

    def encode(self, key: str, entry: Entry, stamp: int = 0) -> bytes:
        """The row of `entry`: format and payload size, body, and the checksum of all that, the key and the stamp.

        `stamp` is a number that the tier keeps beside the row: with another one, the row does not decode. Raises
        ValueError for what no row can hold (more than MAX_PAYLOAD, text that is no UTF-8).
        """
        payload, compressed = entry.payload, False
        if len(payload) > MAX_PAYLOAD:
            raise ValueError(f"a payload of {len(payload)} bytes, and the most is {MAX_PAYLOAD}")
        if len(payload) >= self._threshold:
            packed = self._compress(payload)
            compressed = len(packed) <= len(payload) * (1 - self._gain)
            payload = packed if compressed else payload
        packer = self._packers.take()
        body = packer.pack(
            (
                compressed, payload, entry.stored_at, entry.fresh_until, entry.stale_while_revalidate,
                entry.stale_if_error, entry.tags, entry.priority, entry.immutable, entry.media_type, entry.etag,
                entry.last_modified, entry.outcome,
            )
        )  # fmt: skip
        self._packers.give(packer)  # only one that did not fail: its buffer is empty
        row = _HEADER.pack(FORMAT, len(entry.payload)) + body
        return bytes(row + _checksum(key, row, stamp))

    def decode(self, key: str, data: bytes, stamp: int = 0) -> Entry:
        """The entry that `encode` made the row of.

        Every limit is set from the row's own length, so a row can't make this allocate more than it holds, save for
        the payload's stated size, which is bounded. Raises DamagedRowError for anything else.
        """
        row, checksum = data[:-_CHECKSUM], data[-_CHECKSUM:]
        if len(row) < _HEADER.size:
            raise DamagedRowError("checksum", "the checksum is missing")
        version, size = _HEADER.unpack_from(row)
        # A format 1 row knows of no stamp, so it is good for the first one alone.
        if checksum != _checksum(key, row, None if version == 1 and stamp == 0 else stamp):
            raise DamagedRowError("checksum", "the checksum does not match")
        if version not in (1, FORMAT) or size > MAX_PAYLOAD:
            raise DamagedRowError("format", f"format {version}, payload of {size} bytes")
        return _unpack(row[_HEADER.size :], size, version)

    def _compress(self, payload: bytes) -> bytes:
        compressor = self._compressors.take()
        packed = compressor.compress(payload, mode=zstd.ZstdCompressor.FLUSH_FRAME)
        self._compressors.give(compressor)
        return packed


class _Pool(Generic[T]):
    """Idle things to be reused, at most so many; `list.append` and `list.pop` are atomic, so no lock is needed."""

    __slots__ = ("_idle", "_make", "_size")

    def __init__(self, size: int, make: Callable[[], T]) -> None:
        self._size = size
        self._make = make
        self._idle: list[T] = []

    def take(self) -> T:
        try:
            return self._idle.pop()
        except IndexError:
            return self._make()

    def give(self, thing: T) -> None:
        if len(self._idle) < self._size:
            self._idle.append(thing)


def _unpack(body: bytes, size: int, version: int) -> Entry:
    try:
        values = msgpack.unpackb(body, use_list=False, max_ext_len=0, max_map_len=0, max_array_len=len(body))
        values = (*values, Outcome.OK) if version == 1 else values
        compressed, payload, *fields, tags, priority, immutable, media_type, etag, modified, outcome = values
        stored_at, fresh_until, revalidate, on_error = map(float, fields)
        payload = _decompress(payload, size) if compressed else payload
        priority, outcome = Priority(priority), Outcome(outcome)
    except (ValueError, TypeError, msgpack.UnpackException, zstd.ZstdError) as error:
        raise DamagedRowError("body", f"the body does not decode: {error}") from error
    if not isinstance(payload, bytes) or len(payload) != size:
        raise DamagedRowError("body", "the payload has another size")
    return Entry(
        payload, stored_at, fresh_until, revalidate, on_error, tags, priority, immutable,
        media_type, etag, modified, outcome,
    )  # fmt: skip


def _decompress(data: bytes, size: int) -> bytes:
    """Exactly `size` bytes: a frame that holds more is cut one byte later, and then refused by its size."""
    return zstd.ZstdDecompressor().decompress(data, max_length=size + 1)


def _checksum(key: str, row: bytes, stamp: int | None = 0) -> bytes:
    digest = hashlib.blake2b(row, digest_size=_CHECKSUM)
    if stamp is not None:
        digest.update(_STAMP.pack(stamp))
    digest.update(key.encode("utf-8", "surrogatepass"))
    return digest.digest()
