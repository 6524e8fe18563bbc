"""Makes a damaged file anew from the rows in it that are sound: the last step of a repair."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from gateway.tiers.disk import DiskTier
from gateway.tiers.disk_batch import Kind
from gateway.tiers.disk_entries import live
from gateway.tiers.disk_inspect import damage_of
from gateway.tiers.disk_rows import Row, insert
from gateway.tiers.disk_store import Store
from gateway.tiers.schema import open_file, save_mark
from gateway.tiers.schema_damage import FAILURES, remove

log = structlog.get_logger(__name__)

_PAGE = 200
_FARTHEST = 2**62
_ROWS = """SELECT rowid, CAST(key AS BLOB), tags, priority, used_at, usable_until, generation, row
FROM entries WHERE rowid > ? ORDER BY rowid LIMIT ?"""


async def rebuild(disk: DiskTier) -> int:
    """Put a new file in the place of the one that a command has open alone; how many entries it has.

    It gets every entry that can be read, that decodes, that is not purged and that its key leads to: of two rows of one
    key, the one that was served. The purge log goes along. The old file is set aside before the new one takes its name;
    after a kill in between there is no file, which is an empty cache and not a wrong one. Raises TierError, and the old
    file is still in its place then.
    """
    path = disk.file.path
    new = path.with_name(f"{path.name}.rebuilt")
    kept = await disk.do(Kind.READ, partial(_copy, to=new))
    await disk.file.swap(new)
    log.warning("cache file made anew", path=str(path), entries=kept)
    return int(kept)


def _copy(store: Store, to: Path) -> int:
    remove(to)  # what a kill left
    try:
        connection, _ = open_file(to, store.now)
        try:
            count = _copy_rows(store, connection)
            store.purges.copy(connection)
            save_mark(connection, store.purges)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            connection.close()
    except BaseException:
        remove(to)
        raise
    return count


def _copy_rows(store: Store, connection: sqlite3.Connection) -> int:
    count, last = 0, 0
    while page := _page_after(store.connection, last):
        connection.execute("BEGIN")
        for row in page:
            if _is_sound(store, row):
                insert(connection, (row[1].decode(), *row[2:]))
                count += 1
        connection.execute("COMMIT")
        last = max(last + 1, page[-1][0])  # in damaged pages, rows may be out of order
    return count


def _is_sound(store: Store, row: tuple[Any, ...]) -> bool:
    rowid, key, tags, priority, used_at, usable_until, generation, body = row
    try:
        read = Row(rowid, key.decode(), generation, body)
        damage = damage_of(store, read, (tags, priority, usable_until))
        return damage is None and isinstance(used_at, float) and live(store, read) is not None
    except (AttributeError, *FAILURES):  # a key that is none, or an index that can't be read: nobody was served this
        return False


def _page_after(connection: sqlite3.Connection, rowid: int) -> list[tuple[Any, ...]]:
    """The next rows, from behind those that can't be read."""
    for start in _starts(connection, rowid):
        for limit in (_PAGE, 1):  # a page of rows may reach into a damaged one
            try:
                return connection.execute(_ROWS, (start, limit)).fetchall()
            except FAILURES:
                continue
    return []


def _starts(connection: sqlite3.Connection, rowid: int) -> Iterator[int]:
    """`rowid`, and if nothing can be read from there, where the damage ends: found by halving what it may span."""
    yield rowid
    bad, step = rowid, 1
    while not _readable(connection, rowid + step):
        bad, step = rowid + step, step * 2
        if step > _FARTHEST:
            return
    good = rowid + step
    while good - bad > 1:
        middle = (good + bad) // 2
        if _readable(connection, middle):
            good = middle
        else:
            bad = middle
    yield good


def _readable(connection: sqlite3.Connection, rowid: int) -> bool:
    try:
        connection.execute(_ROWS, (rowid, 1)).fetchall()
    except FAILURES:
        return False
    return True
