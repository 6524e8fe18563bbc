"""The disk tier's file at work: entries in and out of the tables. Plain functions for the connection's own thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from gateway.tiers.codec import Codec
from gateway.tiers.disk_move import WalMove
from gateway.tiers.disk_purges import DamagedLogError, PurgeLog
from gateway.tiers.disk_space import Room
from gateway.tiers.schema import load_log, save_mark, wal_pages

log = structlog.get_logger(__name__)

_WAL_PAGES = 250
_WAL_PAGES_CHORE = 8000
"""At so many pages a commit moves the WAL into the file, and waits. SQLite's usual 1000 took 20 ms; with 100, a write
would have to wait too often. A chore's commit should never do it, that is for `gateway.tiers.disk_upkeep`, which does
it long before: with 1000, deleting 100 rows in random order reached it within one bit."""
MAX_NOTED = 50_000
"""Reads that are noted until the janitor writes them down; more are forgotten."""
LOW = 0.97
"""How far below its limit the file is brought, so that the next write does not pass it at once."""


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
        self.wal = path.with_name(path.name + "-wal")
        self.now = 0.0
        """The time of the batch."""
        self.codec = codec
        self.room = Room(path)
        self.move = WalMove(path, self.wal)
        self.max_size = max_size
        self.counters = Counters()
        self.entries = self.bytes_used = self.file_bytes = 0
        self.sweeps: dict[int, Callable[[Store, int], int]] = {}
        """How far the deletion for each purge has come, by its generation."""
        self.purged = 0
        """Purges of this file and those before it, of single keys as well."""
        self.floor_sweep = (0, 0)
        """How far the deletion of all below a floor has come: the floor, and the last row seen."""
        self.doomed = 0
        """About how many rows lie below the floor."""
        self.over_limit = False
        self.noted: dict[str, float] = {}
        self.ttl = ttl
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
        self.move.open(connection)

    @property
    def untidy(self) -> bool:
        """Whether the janitor should come before its time."""
        behind = self.purges.floor > self.purges.swept_floor or self.purges.unswept() is not None
        return behind or self.over_limit or len(self.noted) > MAX_NOTED // 2

    def begin(self, *, durable: bool, chore: bool) -> None:
        """Start a transaction; a `durable` one is on the disk when it is committed, also after a power loss."""
        self.move.settle()
        self.room.look(self.now)
        if self.room.tight:
            with suppress(sqlite3.OperationalError):  # then there is no room for that either
                self.move.truncate()
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
        self.move.wrote()
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

    def measure(self) -> None:
        """See how large the file is; all of it is known without reading the tables."""
        pages, free, size = (
            self.connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        self.bytes_used = (pages - free) * size
        self.file_bytes = pages * size
        with suppress(FileNotFoundError):
            self.file_bytes += self.wal.stat().st_size
        self.entries = self.count()
        self.over_limit = self.bytes_used > self.max_size * (LOW if self.over_limit else 1) and self.entries > 0

    def count(self) -> int:
        """How many rows there are. Raises DamagedLogError."""
        row = self.connection.execute("SELECT entries FROM state WHERE id = 0").fetchone()
        if row is None or not isinstance(row[0], int):
            raise DamagedLogError("the state is missing")
        return row[0]

    def _start_sweeps_again(self) -> None:
        self.sweeps.clear()
        self.floor_sweep = (0, 0)
