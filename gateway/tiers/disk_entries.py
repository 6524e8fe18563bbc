"""Entries in and out of the disk tier's tables. Plain functions for the connection's own thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import orjson
import structlog

from gateway.errors import TierError
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Entry
from gateway.tiers.codec import DamagedRowError
from gateway.tiers.disk_purges import Purge
from gateway.tiers.disk_rows import Row, delete, delete_key, insert
from gateway.tiers.disk_store import LOW, MAX_NOTED, Store

log = structlog.get_logger(__name__)

RECENT = 60.0
"""Seconds for which a read of an entry is not noted again."""
ROW_OVERHEAD = 250
"""Bytes that a row takes beyond its body and its keys: the other columns, the indexes, some tags."""
_OVERRUN = 1.05
"""How far over its limit the file may grow before writers make room themselves, not only the janitor."""

_LEAST_WORTH = "SELECT rowid, length(row) FROM entries ORDER BY priority, used_at LIMIT ?"


def read(store: Store, keys: Iterable[str], sizes: dict[str, int] | None = None) -> dict[str, Entry]:
    """What there is of `keys`, less what was purged; rows that do not decode are deleted and counted.

    `sizes` is told what the rows of those found take.
    """
    found: dict[str, Entry] = {}
    damaged = []
    for key in keys:
        with suppress(UnicodeEncodeError):  # such a key was never put
            row = store.connection.execute(
                "SELECT rowid, used_at, generation, row FROM entries WHERE key = ?", (key,)
            ).fetchone()
            if row is None:
                continue
            rowid, used_at, *rest = row
            try:
                entry = live(store, Row(rowid, key, *rest))
            except DamagedRowError as error:
                damaged.append(rowid)
                log.warning("damaged cache entry deleted", tier="disk", key=key, problem=str(error))
                continue
            if entry is None:
                continue
            found[key] = entry
            if sizes is not None:
                sizes[key] = size_of(key, rest[-1])
            recent = isinstance(used_at, float) and store.now - used_at < RECENT
            if not recent and len(store.noted) < MAX_NOTED:
                store.noted[key] = store.now
    if damaged:
        store.counters.damaged += len(damaged)
        with suppress(sqlite3.OperationalError):  # on a full disk they stay, and stay misses
            store.move.settle()
            delete(store.connection, damaged)
            store.move.wrote()
    return found


def live(store: Store, row: Row) -> Entry | None:
    """The entry of a row, or None for one that was purged. Raises DamagedRowError."""
    if not isinstance(row.row, bytes) or type(row.generation) is not int:
        raise DamagedRowError("body", "the columns have other types")
    return store.purges.apply(row.key, store.codec.decode(row.key, row.row, row.generation), row.generation)


def put(store: Store, entries: Mapping[str, Entry]) -> dict[str, int]:
    """Keep `entries`; one that is larger than the whole file may be is not kept, nor is what it replaces.

    Returns what the rows of those kept take.
    """
    store.room.check()
    too_large, sizes = [], {}
    for row in _rows(store, entries):
        if len(row[-1]) > store.max_size:
            too_large.append(row[0])
        else:
            _insert(store, row)
            sizes[row[0]] = size_of(row[0], row[-1])
    for key in too_large:
        delete_key(store.connection, key)
    if store.bytes_used > store.max_size * _OVERRUN:
        evict(store, 2 * len(entries) + 8)
    return sizes


def size_of(key: str, row: bytes) -> int:
    """Bytes that a row takes in the file, about: its key is there twice, and pages are never quite full."""
    return len(row) + 2 * len(key) + ROW_OVERHEAD


def purge(store: Store, selector: Selector, *, soft: bool) -> tuple[int, Purge | None]:
    """Purge, but for the deletion of rows, which `gateway.tiers.disk_sweep` does bit by bit.

    Returns how many entries there were if that is known at once, and what is left to be done.
    """
    store.purged += 1
    match selector.kind:
        case "key":
            return _purge_key(store, selector.value, soft=soft), None
        case "all" if not soft:
            count = max(0, store.count() - store.doomed)
            store.purges.purge_all(store.connection)
            store.doomed += count
            return count, None
        case _:
            return 0, store.purges.add(store.connection, selector, soft=soft, at=store.now)


def evict(store: Store, limit: int) -> int:
    """Delete up to `limit` entries while there are too many; how many there were.

    Low before medium before high, and within that the least recently used first: so one of high priority goes, too,
    when there is nothing lower left.
    """
    excess = store.bytes_used - int(store.max_size * LOW)
    chosen = []
    for rowid, size in store.connection.execute(_LEAST_WORTH, (limit,)):
        if excess <= 0:
            break
        chosen.append(rowid)
        excess -= size or 0
    store.counters.evicted += len(chosen)
    return delete(store.connection, chosen)


def _insert(store: Store, row: Sequence[Any]) -> None:
    insert(store.connection, row)
    store.purges.latest = max(store.purges.latest, row[4])


def _purge_key(store: Store, key: str, *, soft: bool) -> int:
    if not soft:
        return delete_key(store.connection, key)
    row = store.connection.execute("SELECT rowid, generation, row FROM entries WHERE key = ?", (key,)).fetchone()
    if row is None:
        return 0
    try:
        entry = live(store, Row(row[0], key, *row[1:]))
    except DamagedRowError:
        store.counters.damaged += delete(store.connection, [row[0]])
        return 0
    if entry is None:
        return 0
    for stale in _rows(store, {key: entry.made_stale(store.now)}):
        _insert(store, stale)
    return 1


def _rows(store: Store, entries: Mapping[str, Entry]) -> list[tuple[Any, ...]]:
    generation = store.purges.generation
    rows = []
    for key, entry in entries.items():
        kept = entry.fresh_at_most_until(store.now + store.ttl)
        try:
            tags = orjson.dumps(kept.tags).decode()
            row = store.codec.encode(key, kept, generation)
            key.encode()
        except (TypeError, ValueError, OverflowError) as error:
            raise TierError(f"disk: the entry {key!r} can't be written: {error}") from error
        rows.append((key, tags, kept.priority, store.now, kept.usable_until, generation, row))
    return rows
