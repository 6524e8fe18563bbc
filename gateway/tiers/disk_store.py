"""The disk tier's file at work: entries in and out of the tables. Plain functions for the connection's own thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import structlog

from gateway.errors import TierError
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Entry
from gateway.tiers.codec import Codec, DamagedRowError
from gateway.tiers.disk_purges import DamagedLogError, Purge, PurgeLog
from gateway.tiers.disk_rows import Row, delete, delete_key, insert
from gateway.tiers.disk_space import Room
from gateway.tiers.schema import load_log, save_mark, wal_pages

log = structlog.get_logger(__name__)

_WAL_PAGES = 250
_WAL_PAGES_CHORE = 100
"""At so many pages a commit moves the WAL into the file, and waits for that. SQLite's usual 1000 took 20 ms, which is
what a chore may take with all that belongs to it; with 100, a write would have to wait for the disk too often."""
_RECENT = 60.0
"""Seconds for which a read of an entry is not noted again."""
_MAX_NOTED = 50_000
"""Reads that are noted until the janitor writes them down; more are forgotten."""
_LOW = 0.97
"""How far below its limit the file is brought, so that the next write does not pass it at once."""
_OVERRUN = 1.05
"""How far over its limit the file may grow before writers make room themselves, not only the janitor."""

_LEAST_WORTH = "SELECT rowid, length(row) FROM entries ORDER BY priority, used_at LIMIT ?"


@dataclass(slots=True)
class Counters:
    """Rows that were deleted, by the reason."""

    damaged: int = 0
    evicted: int = 0
    expired: int = 0


class Store:
    """One open file. Nothing here waits or locks: one thread alone calls it.

    Changes are made inside `transaction`. What must survive the loss of the file (counters, noted reads) is kept here
    and not in the connection, so `reopen` can give the store another file.
    """

    name = "disk"

    def __init__(self, path: Path, codec: Codec, *, ttl: float, max_size: int) -> None:
        self.path = path
        self.now = 0.0
        """The time of the batch."""
        self.codec = codec
        self.room = Room(path)
        self.max_size = max_size
        self.counters = Counters()
        self.entries = self.bytes_used = self.file_bytes = 0
        self.sweeps: dict[int, Callable[[Store, int], int]] = {}
        """How far the deletion for each purge has come, by its generation."""
        self.floor_sweep = (0, 0)
        """How far the deletion of all below a floor has come: the floor, and the last row seen."""
        self.doomed = 0
        """About how many rows lie below the floor."""
        self.over_limit = False
        self.noted: dict[str, float] = {}
        self._ttl = ttl
        self._saved_mark = b""
        self._counted = self.counters

    def reopen(self, connection: sqlite3.Connection, purges: PurgeLog) -> None:
        """Work on this file from now on."""
        self.connection = connection
        self.purges = purges
        self._saved_mark = purges.mark()
        self._start_sweeps_again()
        self.doomed = 0
        self.measure()

    @property
    def untidy(self) -> bool:
        """Whether the janitor should come before its time."""
        behind = self.purges.floor > self.purges.swept_floor or self.purges.unswept() is not None
        return behind or self.over_limit or len(self.noted) > _MAX_NOTED // 2

    def begin(self, *, durable: bool, chore: bool) -> None:
        """Start a transaction; a `durable` one is on the disk when it is committed, also after a power loss."""
        self.room.look(self.now)
        if self.room.tight:
            with suppress(sqlite3.OperationalError):  # then there is no room for that either
                self.truncate_wal()
        pages = wal_pages(self.path, _WAL_PAGES_CHORE if chore else _WAL_PAGES)
        self.connection.execute(f"PRAGMA wal_autocheckpoint = {pages}").fetchall()
        # PRAGMA synchronous can't be changed inside a transaction (sqlite.org/pragma.html).
        self.connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        self.connection.execute("BEGIN IMMEDIATE")
        self._counted = replace(self.counters)

    def commit(self) -> None:
        """End the transaction, with the purge log as it is now."""
        mark = self.purges.mark()
        if mark != self._saved_mark:
            save_mark(self.connection, self.purges)
        self.connection.execute("COMMIT")
        self._saved_mark = mark
        self.measure()

    def roll_back(self) -> None:
        """Undo the transaction, here too."""
        with suppress(sqlite3.Error):  # some errors have rolled back already, and then there is nothing to undo
            self.connection.execute("ROLLBACK")
        self.counters = self._counted
        self._start_sweeps_again()
        if self.purges.mark() != self._saved_mark:
            self.purges = load_log(self.connection)

    def truncate_wal(self) -> None:
        """Move what the WAL holds into the file and cut it; outside a transaction."""
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def measure(self) -> None:
        """See how large the file is; all of it is known without reading the tables."""
        pages, free, size = (
            self.connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        self.bytes_used = (pages - free) * size
        self.file_bytes = pages * size
        with suppress(FileNotFoundError):
            self.file_bytes += self.path.with_name(self.path.name + "-wal").stat().st_size
        self.entries = self._count()
        self.over_limit = self.bytes_used > self.max_size * (_LOW if self.over_limit else 1) and self.entries > 0

    def read(self, keys: Iterable[str]) -> dict[str, Entry]:
        """What there is of `keys`, less what was purged; rows that do not decode are deleted and counted."""
        found: dict[str, Entry] = {}
        damaged = []
        for key in keys:
            with suppress(UnicodeEncodeError):  # such a key was never put
                row = self.connection.execute(
                    "SELECT rowid, used_at, generation, row FROM entries WHERE key = ?", (key,)
                ).fetchone()
                if row is None:
                    continue
                rowid, used_at, *rest = row
                try:
                    entry = self.live(Row(rowid, key, *rest))
                except DamagedRowError as error:
                    damaged.append(rowid)
                    log.warning("damaged cache entry deleted", tier="disk", key=key, problem=str(error))
                    continue
                if entry is None:
                    continue
                found[key] = entry
                recent = isinstance(used_at, float) and self.now - used_at < _RECENT
                if not recent and len(self.noted) < _MAX_NOTED:
                    self.noted[key] = self.now
        if damaged:
            self.counters.damaged += len(damaged)
            with suppress(sqlite3.OperationalError):  # on a full disk they stay, and stay misses
                delete(self.connection, damaged)
        return found

    def live(self, row: Row) -> Entry | None:
        """The entry of a row, or None for one that was purged. Raises DamagedRowError."""
        if not isinstance(row.row, bytes) or type(row.generation) is not int:
            raise DamagedRowError("body", "the columns have other types")
        return self.purges.apply(row.key, self.codec.decode(row.key, row.row, row.generation), row.generation)

    def put(self, entries: Mapping[str, Entry]) -> None:
        """Keep `entries`; one that is larger than the whole file may be is not kept, nor is what it replaces."""
        self.room.check()
        too_large = []
        for row in self._rows(entries):
            if len(row[-1]) > self.max_size:
                too_large.append(row[0])
            else:
                self._insert(row)
        for key in too_large:
            delete_key(self.connection, key)
        if self.bytes_used > self.max_size * _OVERRUN:
            self.evict(2 * len(entries) + 8)

    def purge(self, selector: Selector, *, soft: bool) -> tuple[int, Purge | None]:
        """Purge, but for the deletion of rows, which `gateway.tiers.disk_cleanup` does bit by bit.

        Returns how many entries there were if that is known at once, and what is left to be done.
        """
        match selector.kind:
            case "key":
                return self._purge_key(selector.value, soft=soft), None
            case "all" if not soft:
                count = max(0, self._count() - self.doomed)
                self.purges.purge_all(self.connection)
                self.doomed += count
                return count, None
            case _:
                return 0, self.purges.add(self.connection, selector, soft=soft, at=self.now)

    def evict(self, limit: int) -> int:
        """Delete up to `limit` entries while there are too many; how many there were.

        Low before medium before high, and within that the least recently used first: so one of high priority goes, too,
        when there is nothing lower left.
        """
        excess = self.bytes_used - int(self.max_size * _LOW)
        chosen = []
        for rowid, size in self.connection.execute(_LEAST_WORTH, (limit,)):
            if excess <= 0:
                break
            chosen.append(rowid)
            excess -= size or 0
        self.counters.evicted += len(chosen)
        return delete(self.connection, chosen)

    def _insert(self, row: Sequence[Any]) -> None:
        insert(self.connection, row)
        self.purges.latest = max(self.purges.latest, row[4])

    def _purge_key(self, key: str, *, soft: bool) -> int:
        if not soft:
            return delete_key(self.connection, key)
        row = self.connection.execute("SELECT rowid, generation, row FROM entries WHERE key = ?", (key,)).fetchone()
        if row is None:
            return 0
        try:
            entry = self.live(Row(row[0], key, *row[1:]))
        except DamagedRowError:
            self.counters.damaged += delete(self.connection, [row[0]])
            return 0
        if entry is None:
            return 0
        for stale in self._rows({key: entry.made_stale(self.now)}):
            self._insert(stale)
        return 1

    def _count(self) -> int:
        row = self.connection.execute("SELECT entries FROM state WHERE id = 0").fetchone()
        if row is None or not isinstance(row[0], int):
            raise DamagedLogError("the state is missing")
        return row[0]

    def _start_sweeps_again(self) -> None:
        self.sweeps.clear()
        self.floor_sweep = (0, 0)

    def _rows(self, entries: Mapping[str, Entry]) -> list[tuple[Any, ...]]:
        generation = self.purges.generation
        rows = []
        for key, entry in entries.items():
            kept = entry.fresh_at_most_until(self.now + self._ttl)
            try:
                tags = orjson.dumps(kept.tags).decode()
                row = self.codec.encode(key, kept, generation)
                key.encode()
            except (TypeError, ValueError, OverflowError) as error:
                raise TierError(f"disk: the entry {key!r} can't be written: {error}") from error
            rows.append((key, tags, kept.priority, self.now, kept.usable_until, generation, row))
        return rows
