"""What a power loss could leave of a store's files, tried while the store works."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from gateway.pipeline.model import Entry
from gateway.tiers.disk_batch import Job, Kind, do_batch
from gateway.tiers.disk_entries import put
from gateway.tiers.disk_store import Store

SECTOR = 512
NOW = time.time()
Rows = frozenset[tuple[str, bytes]]


def entry(payload: bytes = b"payload", tags: tuple[str, ...] = ()) -> Entry:
    return Entry(payload, NOW, NOW + 1000, tags=tags)


class Disk:
    """What of a store's files is on the disk for sure, and what a power loss could leave of them."""

    def __init__(self, store: Store, folder: Path, draw: random.Random) -> None:
        self._store = store
        self._folder = folder
        self._draw = draw
        self._durable = {path: path.read_bytes() for path in (store.path, store.wal)}
        self._commits = [self._rows(store.connection)]
        self._certain = 0
        self.losses = 0

    def sync(self, descriptor: int) -> None:
        """Stands for fdatasync: what was written until now may be lost, a moment later it may not."""
        self.lose_power()
        path = next(path for path in self._durable if path.stat().st_ino == os.fstat(descriptor).st_ino)
        self.synced(path)

    def synced(self, path: Path) -> None:
        self._durable[path] = path.read_bytes()
        self._certain = len(self._commits) - 1

    def commit(self, work: Callable[[Store], object], *, durable: bool = False) -> None:
        do_batch(self._store, Kind.CHANGE, [Job(Kind.CHANGE, work, durable)], NOW)
        self._commits.append(self._rows(self._store.connection))
        if durable:  # by SQLite itself
            self.synced(self._store.wal)

    def lose_power(self) -> None:
        """Whichever sectors came to be written, the file is sound and has all that was synced."""
        for chance in (0.0, 1.0, 0.5, 0.1, 0.9, self._draw.random()):
            copy = self._folder / "lost.db"
            for path in self._durable:
                after = self._torn(self._durable[path], path.read_bytes(), chance)
                copy.with_name("lost.db" + path.name.removeprefix(self._store.path.name)).write_bytes(after)
            connection = sqlite3.connect(copy)
            try:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                assert self._rows(connection) in self._commits[self._certain :]
            finally:
                connection.close()
            self.losses += 1

    def _torn(self, durable: bytes, written: bytes, chance: float) -> bytes:
        sectors = []
        for start in range(0, self._draw.choice((len(durable), len(written))), SECTOR):
            new = written[start : start + SECTOR] if self._draw.random() < chance else b""
            sectors.append(new or durable[start : start + SECTOR] or bytes(SECTOR))
        return b"".join(sectors)

    def _rows(self, connection: sqlite3.Connection) -> Rows:
        return frozenset(connection.execute("SELECT key, row FROM entries UNION ALL SELECT 'mark', mark FROM state"))


def write(disk: Disk, draw: random.Random, times: int) -> None:
    for _ in range(times):
        keys = [f"k{draw.randrange(60)}" for _ in range(3)]
        disk.commit(partial(put, entries={key: entry(draw.randbytes(900), (f"t{draw.randrange(5)}",)) for key in keys}))
