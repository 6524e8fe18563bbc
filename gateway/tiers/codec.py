"""An entry as bytes for a tier outside this process: msgpack, zstd where it pays, and a checksum. Never pickle."""

from __future__ import annotations

import hashlib
import struct
import sys
from dataclasses import dataclass

import msgpack

from gateway.pipeline.model import Entry, Priority

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FORMAT = 1
"""Raised whenever the layout changes; a row of another format does not decode."""

MAX_PAYLOAD = 256_000_000
"""No entry is larger; a row that says so is damaged."""

_CHECKSUM = 16
_HEADER = struct.Struct(">BI")
_LEVEL = 3


class DamagedRowError(Exception):
    """Bytes that are no entry, or not the entry of that key."""


@dataclass(frozen=True, slots=True)
class Codec:
    """Encodes entries; payloads of at least `threshold` bytes are compressed when that saves the part `gain`."""

    threshold: int
    gain: float

    def encode(self, key: str, entry: Entry) -> bytes:
        """The row of `entry`: format and payload size, body, and the checksum of all that and the key."""
        payload, compressed = entry.payload, False
        if len(payload) >= self.threshold:
            packed = zstd.compress(payload, level=_LEVEL)
            compressed = len(packed) <= len(payload) * (1 - self.gain)
            payload = packed if compressed else payload
        body = msgpack.packb(
            (
                compressed, payload, entry.stored_at, entry.fresh_until, entry.stale_while_revalidate,
                entry.stale_if_error, entry.tags, entry.priority, entry.immutable, entry.media_type, entry.etag,
                entry.last_modified,
            ),
            use_bin_type=True,
        )  # fmt: skip
        row = _HEADER.pack(FORMAT, len(entry.payload)) + body
        return bytes(row + _checksum(key, row))

    def decode(self, key: str, data: bytes) -> Entry:
        """The entry that `encode` made the row of.

        Every limit is set from the row's own length, so a row can't make this allocate more than it holds, save for
        the payload's stated size, which is bounded. Raises DamagedRowError for anything else.
        """
        row, checksum = data[:-_CHECKSUM], data[-_CHECKSUM:]
        if len(row) < _HEADER.size or checksum != _checksum(key, row):
            raise DamagedRowError("the checksum does not match")
        version, size = _HEADER.unpack_from(row)
        if version != FORMAT or size > MAX_PAYLOAD:
            raise DamagedRowError(f"format {version}, payload of {size} bytes")
        try:
            compressed, payload, *fields, tags, priority, immutable, media_type, etag, modified = msgpack.unpackb(
                row[_HEADER.size :], use_list=False, max_ext_len=0, max_map_len=0, max_array_len=len(row)
            )
            stored_at, fresh_until, revalidate, on_error = map(float, fields)
            payload = _decompress(payload, size) if compressed else payload
            priority = Priority(priority)
        except (ValueError, TypeError, msgpack.UnpackException, zstd.ZstdError) as error:
            raise DamagedRowError(f"the body does not decode: {error}") from error
        if not isinstance(payload, bytes) or len(payload) != size:
            raise DamagedRowError("the payload has another size")
        return Entry(
            payload, stored_at, fresh_until, revalidate, on_error, tags, priority, immutable,
            media_type, etag, modified,
        )  # fmt: skip


def _decompress(data: bytes, size: int) -> bytes:
    """Exactly `size` bytes: a frame that holds more is cut one byte later, and then refused by its size."""
    return zstd.ZstdDecompressor().decompress(data, max_length=size + 1)


def _checksum(key: str, row: bytes) -> bytes:
    digest = hashlib.blake2b(row, digest_size=_CHECKSUM)
    digest.update(key.encode("utf-8", "surrogatepass"))
    return digest.digest()
