"""A warm cache as one portable file: written by `export`, checked as a whole and then read by `import_`.

The file is a line that says what it is, then frames of msgpack, each behind its length: a header, one frame for each
entry (key and the codec's row, which has a checksum), and a trailer with their number. A digest of all that ends it, so
that a file cut anywhere, or with a bit changed, is refused before anything is imported.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, NoReturn

import msgpack
import trio

from gateway.atomic import Replacement
from gateway.errors import TierError
from gateway.pipeline.freshness import CLOCK_TOLERANCE
from gateway.pipeline.model import Entry
from gateway.tiers.codec import MAX_PAYLOAD, Codec, DamagedRowError
from gateway.tiers.disk import DiskTier
from gateway.tiers.disk_batch import Kind
from gateway.tiers.disk_entries import live, put, read
from gateway.tiers.disk_rows import Row
from gateway.tiers.disk_store import Store

_MAGIC = b"gateway cache export 1\n"
_LENGTH = struct.Struct(">I")
_MAX_FRAME = MAX_PAYLOAD + 1_000_000
_DIGEST = 32
_PAGE = 100
_PAGE_BYTES = 4_000_000
"""Entries and bytes of them that are read or written at once."""
_ROWS = "SELECT rowid, CAST(key AS BLOB), generation, row FROM entries WHERE rowid > ? ORDER BY rowid LIMIT ?"


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of the entries of an export."""

    imported: int
    expired: int
    """Nobody may use them any more."""
    from_the_future: int
    """Stored later than it is now, by this machine's clock: nobody knows how old they are."""
    older: int
    """The cache has the same key, stored later."""


async def export(disk: DiskTier, to: Path) -> int:
    """Write every usable entry to the file `to`; how many there were.

    Freshness, tags, priority and age go along; what was purged or is damaged does not. Requests are served meanwhile.
    The file appears under its name when it is complete. Raises TierError when it can't be written.
    """
    try:
        replacement = await trio.to_thread.run_sync(Replacement, to)
        try:
            count = await export_to(disk, replacement.file)
            await trio.to_thread.run_sync(replacement.commit)
        finally:
            replacement.discard()
    except OSError as error:
        raise TierError(f"can't write {to}: {error.strerror or error}") from error
    return count


async def export_to(disk: DiskTier, file: IO[bytes]) -> int:
    """Write every usable entry to an open file as `export` does; how many. Raises TierError and OSError."""
    digest = hashlib.blake2b(digest_size=_DIGEST)

    def write(chunks: Sequence[bytes]) -> None:
        for chunk in chunks:
            digest.update(chunk)
            file.write(chunk)

    def finish() -> None:
        file.write(digest.digest())
        file.flush()

    now, set_aside = disk.clock(), disk.file.set_aside
    await trio.to_thread.run_sync(write, [_MAGIC, _frame({"exported_at": now})])
    after: int | None = -1
    count = 0
    while after is not None:
        rows, after = await disk.do(Kind.READ, partial(_read_page, after=after))
        if disk.file.set_aside > set_aside:  # the rest would be that of another file, and it would look like a whole
            raise TierError("can't export: the cache file turned out to be damaged, and was set aside")
        frames = [_frame((key, row)) for key, row in rows]
        count += len(frames)
        await trio.to_thread.run_sync(write, frames)
    await trio.to_thread.run_sync(write, [_frame({"entries": count})])
    await trio.to_thread.run_sync(finish)
    return count


async def import_(disk: DiskTier, source: Path) -> Imported:
    """Put the entries of the export `source` into the cache as `import_from` does."""
    try:
        with source.open("rb") as file:
            return await import_from(disk, file, str(source))
    except OSError as error:
        raise TierError(f"can't import {source}: {error.strerror or error}; nothing was imported") from error


async def import_from(disk: DiskTier, file: IO[bytes], name: str) -> Imported:
    """Put the entries of an export, an open file called `name`, into the cache, none of them fresher than it was.

    The whole file is read and checked first. When this machine's clock is behind that of the one that exported, the
    entries are made as much older, so that no time is won. Raises TierError for what is no export, or not all of one:
    nothing is changed then; and when something is purged meanwhile, for the rest could bring it back.
    """
    purged = await disk.do(Kind.READ, _purged)
    await trio.to_thread.run_sync(_check, file, name)
    now = disk.clock()
    counts = dict.fromkeys(("imported", "expired", "from_the_future", "older"), 0)
    entries = _entries(file, now, counts)
    while batch := await trio.to_thread.run_sync(_batch, entries):
        known = await disk.do(Kind.READ, partial(_stored_at, keys=tuple(batch)))
        newer = {key: entry for key, entry in batch.items() if entry.stored_at > known.get(key, float("-inf"))}
        counts["older"] += len(batch) - len(newer)
        disk.expect(newer)
        await disk.do(Kind.CHANGE, partial(_put, entries=newer, purged=purged))
        counts["imported"] += len(newer)
    return Imported(**counts)


def _read_page(store: Store, after: int) -> tuple[list[tuple[str, bytes]], int | None]:
    rows, last, size = [], None, 0
    for last, key, generation, row in store.connection.execute(_ROWS, (after, _PAGE)):
        found = Row(last, (key or b"").decode("utf-8", "replace"), generation, row)
        try:
            entry = live(store, found)
        except DamagedRowError:
            continue
        if entry is not None and entry.usable_until > store.now:
            rows.append((found.key, store.codec.encode(found.key, entry)))
            size += len(row)
        if size > _PAGE_BYTES:
            break
    return rows, last


def _frame(value: Any) -> bytes:
    body: bytes = msgpack.packb(value, use_bin_type=True)
    return _LENGTH.pack(len(body)) + body


def _frames(file: IO[bytes], digest: Any) -> Iterator[Any]:
    """The frames of a file whose first line was read; ends with the trailer."""
    while True:
        head = file.read(_LENGTH.size)
        if len(head) < _LENGTH.size:
            raise EOFError
        (length,) = _LENGTH.unpack(head)
        body = file.read(length) if length <= _MAX_FRAME else b""
        if len(body) < length:
            raise EOFError
        digest.update(head)
        digest.update(body)
        frame = msgpack.unpackb(body, use_list=False, max_ext_len=0, max_array_len=len(body))
        yield frame
        if isinstance(frame, dict) and "entries" in frame:
            return


def _check(file: IO[bytes], name: str) -> None:
    """Read the whole file; raises TierError unless it is what `export` wrote."""

    def refuse(problem: str) -> NoReturn:
        raise TierError(f"can't import {name}: {problem}; nothing was imported")

    digest = hashlib.blake2b(_MAGIC, digest_size=_DIGEST)
    codec = Codec(threshold=0, gain=0)
    count = 0
    trailer: dict[str, Any] = {}
    try:
        file.seek(0)
        if file.read(len(_MAGIC)) != _MAGIC:
            refuse("it is not a cache export of this version of the gateway")
        frames = _frames(file, digest)
        float(next(frames)["exported_at"])
        for trailer in frames:
            if isinstance(trailer, dict):
                break
            codec.decode(*trailer)
            count += 1
        if file.read(_DIGEST + 1) != digest.digest() or trailer["entries"] != count:
            refuse("it is damaged: the digest at its end does not match")
    except EOFError:
        refuse("it is truncated")
    except OSError as error:
        refuse(error.strerror or str(error))
    except (ValueError, TypeError, KeyError, AttributeError, msgpack.UnpackException, DamagedRowError) as error:
        refuse(f"it is damaged: {error}")


def _entries(file: IO[bytes], now: float, counts: dict[str, int]) -> Iterator[tuple[str, Entry]]:
    codec = Codec(threshold=0, gain=0)
    file.seek(len(_MAGIC))
    frames = _frames(file, hashlib.blake2b())
    behind = max(0.0, next(frames)["exported_at"] - now)
    for frame in frames:
        if isinstance(frame, dict):
            return
        key, row = frame
        entry = codec.decode(key, row)
        if entry.stored_at > now + CLOCK_TOLERANCE:
            counts["from_the_future"] += 1
            continue
        entry = entry.but(stored_at=entry.stored_at - behind, fresh_until=entry.fresh_until - behind)
        if entry.usable_until <= now:
            counts["expired"] += 1
        else:
            yield key, entry


def _batch(entries: Iterator[tuple[str, Entry]]) -> dict[str, Entry]:
    batch: dict[str, Entry] = {}
    size = 0
    for key, entry in entries:
        batch[key] = entry
        size += len(entry.payload)
        if len(batch) >= _PAGE or size > _PAGE_BYTES:
            break
    return batch


def _stored_at(store: Store, keys: Sequence[str]) -> Mapping[str, float]:
    return {key: entry.stored_at for key, entry in read(store, keys).items()}


def _purged(store: Store) -> int:
    return store.purged


def _put(store: Store, entries: Mapping[str, Entry], purged: int) -> None:
    if store.purged != purged:
        raise TierError("the cache was purged during the import; the rest was not imported")
    put(store, entries)
