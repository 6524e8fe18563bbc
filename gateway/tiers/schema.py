"""The disk tier's file: how it is opened, what its tables are, and how older ones become them."""

from __future__ import annotations

import os
import sqlite3
import zlib
from pathlib import Path

import structlog

from gateway.errors import TierError
from gateway.pipeline.freshness import CLOCK_TOLERANCE
from gateway.tiers.disk_purges import DamagedLogError, PurgeLog
from gateway.tiers.schema_damage import FAILURES, problem_of, sentence, set_aside, trouble

log = structlog.get_logger(__name__)

VERSION = 2
"""Kept in `user_version`. A file of an older version is migrated, one of any other is set aside."""

_BUSY_TIMEOUT = 0.5
"""Seconds to wait for another process to close the file, as one that is being restarted does."""

_PRAGMAS = (
    # One connection alone: before 3.51.3 SQLite can corrupt a WAL that two connections write or checkpoint. Set before
    # the WAL is opened, it also keeps the WAL's index out of shared memory (sqlite.org/wal.html, section 8).
    "PRAGMA locking_mode = EXCLUSIVE",
    # Has to come before the first table; lets the janitor give room back in small steps (sqlite.org/pragma.html).
    "PRAGMA auto_vacuum = INCREMENTAL",
    "PRAGMA journal_mode = WAL",
    # In WAL mode NORMAL can lose the last commits on power loss, never the file's consistency. Purges commit with FULL.
    "PRAGMA synchronous = NORMAL",
    # Cut the WAL back after a checkpoint, so that a burst of writes does not stay on disk.
    "PRAGMA journal_size_limit = 16777216",
    # The upper pages of the indices of a million entries.
    "PRAGMA cache_size = -16000",
    # REPLACE fires the delete trigger only with this (sqlite.org/lang_conflict.html).
    "PRAGMA recursive_triggers = ON",
    # Notice damage in pages early, and run no function that a foreign file's schema names.
    "PRAGMA cell_size_check = ON",
    "PRAGMA trusted_schema = OFF",
)

_ADVICE = "; the next gateway that starts with it sets it aside and makes a new one"
"""What a command says of a file of which nothing can be used."""

_WAL_RATIO = 1 / 16
"""So much of a small disk the WAL may take before it is moved into the file: on a full disk, it can't be any more."""

_ENTRIES = """
CREATE TABLE entries (
    key TEXT PRIMARY KEY,
    tags TEXT NOT NULL,              -- a JSON array
    priority INTEGER NOT NULL,
    used_at REAL NOT NULL,
    usable_until REAL NOT NULL,
    generation INTEGER NOT NULL,     -- purges before it was put; the row's checksum covers it
    row BLOB NOT NULL                -- what gateway.tiers.codec makes
) STRICT;
CREATE INDEX entries_by_expiry ON entries (usable_until);
CREATE INDEX entries_by_worth ON entries (priority, used_at);
CREATE TABLE tags (tag TEXT, key TEXT, PRIMARY KEY (tag, key)) STRICT, WITHOUT ROWID;
"""
_BOOKS = """
CREATE TABLE purges (generation INTEGER PRIMARY KEY, record BLOB NOT NULL) STRICT;
CREATE TABLE state (
    id INTEGER PRIMARY KEY,
    entries INTEGER NOT NULL,        -- how many there are: counting them takes a scan
    mark BLOB NOT NULL               -- what gateway.tiers.disk_purges makes
) STRICT;
INSERT INTO state SELECT 0, count(*), x'' FROM entries;
CREATE TRIGGER entries_tagged AFTER INSERT ON entries BEGIN
    INSERT OR IGNORE INTO tags SELECT value, new.key FROM json_each(new.tags);
    UPDATE state SET entries = entries + 1 WHERE id = 0;
END;
CREATE TRIGGER entries_untagged AFTER DELETE ON entries BEGIN
    DELETE FROM tags WHERE key = old.key AND tag IN (SELECT value FROM json_each(old.tags));
    UPDATE state SET entries = entries - 1 WHERE id = 0;
END;
"""
_FROM_VERSION_1 = """
ALTER TABLE entries ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
DROP TRIGGER entries_tagged;
DROP TRIGGER entries_untagged;
DROP INDEX entries_by_use;
"""


def open_file(
    name: str | Path, now: float, *, existing: bool = False, damage: str | None = None, keep_damaged: int = 3
) -> tuple[sqlite3.Connection, PurgeLog]:
    """A connection that has the file `name` for itself, with its purge log; to be called in the thread that uses it.

    A file that is damaged (or has `damage`, as its user found), foreign or of an unknown version is renamed to
    `NAME.damaged-TIME`, of which the newest `keep_damaged` stay, and a new one is made; one of version 1 is migrated.
    When the file remembers a time after `now`, the wall clock was set back since: nobody knows how old the entries are,
    so they are purged. With `existing` nothing is set aside or made, and what would be is an error.

    Raises TierError when the folder can't be made or written, or when another process has the file.
    """
    path = Path(name).expanduser().absolute()
    try:
        if existing:
            _refuse_other(path)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            problem = damage or problem_of(path, VERSION, _BUSY_TIMEOUT)
            if problem is not None and path.exists():
                aside = set_aside(path, keep_damaged)
                log.warning("cache file set aside", path=str(path), moved_to=str(aside), problem=problem)
        try:
            return _connect(path, now, tolerant=existing)
        except (DamagedLogError, *FAILURES) as error:
            if isinstance(error, sqlite3.Error | OSError) and trouble(error) != "damaged":
                raise
            if existing:
                raise TierError(f"can't use {path}: {error}{_ADVICE}") from error
            aside = set_aside(path, keep_damaged)
            log.warning("cache file set aside", path=str(path), moved_to=str(aside), problem=str(error))
            return _connect(path, now)
    except OSError as error:
        raise TierError(f"can't use {path}: {error.strerror or error}") from error
    except sqlite3.Error as error:
        raise TierError(f"can't use {path}: {sentence(error)}") from error


def wal_pages(path: Path, most: int) -> int:
    """At how many pages the WAL is to be moved into the file: `most`, or fewer on a small disk."""
    disk = os.statvfs(path.parent)
    return min(most, int(disk.f_blocks * disk.f_frsize * _WAL_RATIO) // 4096)


def save_mark(connection: sqlite3.Connection, purges: PurgeLog) -> None:
    """Write the purge log's mark, in the transaction that changed it."""
    connection.execute("UPDATE state SET mark = ? WHERE id = 0", (purges.mark(),))


def load_log(connection: sqlite3.Connection) -> PurgeLog:
    """The purge log as the file has it. Raises DamagedLogError."""
    row = connection.execute("SELECT mark FROM state WHERE id = 0").fetchone()
    if row is None:
        raise DamagedLogError("the purge log's mark is missing")
    records = connection.execute("SELECT generation, record FROM purges ORDER BY generation").fetchall()
    return PurgeLog.load(row[0], records)


def _refuse_other(path: Path) -> None:
    if not path.exists():
        raise TierError(f"there is no cache file {path}")
    problem = problem_of(path, VERSION, _BUSY_TIMEOUT, check=False)
    if problem is not None:
        raise TierError(f"can't use {path}: {problem}{_ADVICE}")


def _connect(path: Path, now: float, *, tolerant: bool = False) -> tuple[sqlite3.Connection, PurgeLog]:
    connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_TIMEOUT)
    try:
        for pragma in _PRAGMAS:
            connection.execute(pragma).fetchall()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("COMMIT")
        _make_or_migrate(connection, path)
        _check_stamp(connection)
        purges = load_log(connection)
        try:
            _distrust_the_future(connection, purges, path, now)
        except sqlite3.DatabaseError:
            if not tolerant:  # a command that looks for damage is to find it by itself
                raise
    except BaseException:
        connection.close()
        raise
    return connection, purges


def _make_or_migrate(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == VERSION:
        return
    if version:
        log.info("cache file migrated", path=str(path), version=version, to=VERSION)
    script = (_FROM_VERSION_1 if version else _ENTRIES) + _BOOKS
    connection.executescript(f"BEGIN; {script} PRAGMA user_version = {VERSION};")
    # Nobody knows until when what is in a migrated file may be used; it is at least a bound.
    purges = PurgeLog()
    (latest,) = connection.execute("SELECT max(usable_until) FROM entries").fetchone()
    purges.latest = latest or 0.0
    save_mark(connection, purges)
    connection.execute("COMMIT")


def _check_stamp(connection: sqlite3.Connection) -> None:
    """Raises DamagedLogError when the schema is not the one that was made.

    A flipped bit in it can leave tables that open, with a trigger that does something else. A digest of it is kept in
    the file's header, where nothing but this reads it (sqlite.org/pragma.html#pragma_application_id).
    """
    schema = connection.execute("SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema ORDER BY name")
    stamp = zlib.crc32(repr(schema.fetchall()).encode()) >> 1 or 1  # it is a signed number, and 0 is none
    (found,) = connection.execute("PRAGMA application_id").fetchone()
    if found == 0:
        connection.execute(f"PRAGMA application_id = {stamp}")
    elif found != stamp:
        raise DamagedLogError("its tables are not those that were made")


def _distrust_the_future(connection: sqlite3.Connection, purges: PurgeLog, path: Path, now: float) -> None:
    # One look into entries_by_worth for each priority: max(used_at) alone would be a scan.
    latest = "SELECT max(used_at) FROM entries WHERE priority = ?"
    known = [connection.execute(latest, (priority,)).fetchone()[0] for priority in (0, 1, 2)]
    ahead = max((time for time in known if isinstance(time, float)), default=now) - now
    if ahead > CLOCK_TOLERANCE:
        log.warning("the clock was set back, cache emptied", path=str(path), seconds=round(ahead))
        connection.execute("BEGIN IMMEDIATE")
        purges.purge_all(connection)
        save_mark(connection, purges)
        connection.execute("COMMIT")
