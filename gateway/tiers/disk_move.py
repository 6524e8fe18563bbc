"""Moves the disk tier's WAL into its file, while other threads do the waiting for the disk."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path
from typing import Literal

import structlog

from gateway.tiers.disk_purges import DamagedLogError

log = structlog.get_logger(__name__)

LARGE_WAL = 1_000_000
"""Bytes; a WAL up to this size is left as it is when all is done."""
_SYNC = getattr(os, "fdatasync", os.fsync)
"""As SQLite does it, without the time of the last change: that would cost a commit of the file system's own journal."""


class WalMove:
    """A checkpoint (sqlite.org/wal.html) in steps, of which those that hold the connection do not wait for the disk.

    SQLite syncs three times: the WAL before it copies pages into the file, the file before it begins the WAL anew, and
    the WAL's new header before other frames follow it, in the next commit. Each wait takes some milliseconds, and as
    long as it likes on a disk that others use. Here SQLite is told not to sync (`synchronous = OFF`, for these
    statements alone), and the same three syncs happen in this order, each before the next step:

    1. `sync_wal`, in any thread, then `copy`: it refuses when something was committed since the sync began.
    2. `sync_due`, in any thread: the file.
    3. `begin_anew`: a transaction of a single frame. Whatever of the header and of this frame is on the disk after a
       power loss, the WAL is either all that it was or empty, and both lead to what the file has. With more frames it
       could be the beginning of what it was, on top of a newer file (sqlite.org/src/info/ff5be73dee).
    4. `sync_due`: the header.

    Whoever writes calls `settle` before, which does what is left to sync: so a step that never comes, or a write in
    between, costs time and nothing else. After a sync that failed nobody can be sure of the file: `settle` raises from
    then on, until another file is opened. All but the syncs belong to the connection's thread.
    """

    def __init__(self, path: Path, wal: Path) -> None:
        self._paths = path, wal
        self._lock = threading.Lock()
        """No descriptor is closed while another thread syncs it."""
        self._descriptors: tuple[int, int] | None = None
        self._due: Literal["file", "wal"] | None = None
        self._failure: OSError | None = None
        self._commits, self._synced = 0, -1
        """Commits so far, of all files: what began before another file was opened says nothing about that one."""

    def open(self, connection: sqlite3.Connection) -> None:
        """Work on what `connection` has just opened. Raises OSError."""
        self.close()
        self.wrote()
        self._due = self._failure = None
        self._connection = connection
        file = os.open(self._paths[0], os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._descriptors = file, os.open(self._paths[1], os.O_RDONLY | os.O_CLOEXEC)
        except BaseException:
            self._connection.close()  # before the descriptor: see `close`
            os.close(file)
            raise

    def close(self) -> None:
        """To be called after the connection is closed: closing a file takes away all locks that a process has on it."""
        with self._lock:
            descriptors, self._descriptors = self._descriptors, None
            for descriptor in descriptors or ():
                os.close(descriptor)

    def settle(self) -> None:
        """Sync what has to be on the disk before anything is written. Raises DamagedLogError when that failed."""
        self.sync_due()
        if self._failure is not None:
            raise DamagedLogError(f"it could not be synced: {self._failure}")

    def wrote(self) -> None:
        """Something was committed."""
        self._commits += 1

    def sync_wal(self) -> None:
        """Sync what is committed; nobody waits for it but the caller."""
        commits = self._commits
        self._sync(wal=True)
        self._synced = commits

    def sync_due(self) -> None:
        """Sync what the last step has written, if it is not synced yet."""
        if self._due is not None and self._failure is None:
            self._sync(wal=self._due == "wal")
            self._due = None

    def copy(self) -> bool:
        """Copy what the WAL holds into the file; False when the WAL has to be synced before."""
        self.settle()
        if self._synced != self._commits:
            return False
        self._due = "file"  # also when it fails: then some pages may be there
        self._unsynced("PRAGMA wal_checkpoint(PASSIVE)")
        return True

    def begin_anew(self, *, cut: bool) -> None:
        """Let the next commits write the WAL from its beginning; `cut` it before when it is large."""
        self.settle()
        if cut and self._paths[1].stat().st_size > LARGE_WAL:
            self.truncate()
        self._connection.execute("PRAGMA wal_autocheckpoint = 0").fetchall()  # it would not be synced
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        self._due = "wal"
        self._unsynced(f"PRAGMA user_version = {version}")  # writes the first page, changed or not
        self.wrote()

    def truncate(self) -> None:
        """Move what the WAL holds into the file and cut it, with all that SQLite syncs; outside a transaction."""
        self.settle()
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _unsynced(self, statement: str) -> None:
        self._connection.execute("PRAGMA synchronous = OFF")
        try:
            self._connection.execute(statement).fetchall()
        finally:
            self._connection.execute("PRAGMA synchronous = NORMAL")

    def _sync(self, *, wal: bool) -> None:
        with self._lock:
            if self._descriptors is None:
                return
            try:
                _SYNC(self._descriptors[wal])
            except OSError as error:  # the next one would succeed, and what was not written would be forgotten
                self._failure = error
                log.warning("cache file not synced", path=str(self._paths[wal]), error=error.strerror or str(error))
