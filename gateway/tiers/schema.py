"""The disk tier's file: how it is opened, what its tables are, and what happens to one that is damaged."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import structlog

from gateway.errors import TierError
from gateway.pipeline.freshness import CLOCK_TOLERANCE

log = structlog.get_logger(__name__)

VERSION = 1
"""Kept in `user_version`; a file of another version is emptied, since everything in it can be fetched again."""

_BUSY_TIMEOUT = 0.5
"""Seconds to wait for another process to close the file, as one that is being restarted does."""

_QUICK = 8_000_000
"""Bytes up to which a file is checked when it is opened. A larger one would hold up the start; its rows are checked one
by one when they are read."""

_PRAGMAS = (
    # One connection alone: before 3.51.3 SQLite can corrupt a WAL that two connections write or checkpoint. Set before
    # the WAL is opened, it also keeps the WAL's index out of shared memory (sqlite.org/wal.html, section 8).
    "PRAGMA locking_mode = EXCLUSIVE",
    # Has to come before the first table; lets the janitor give room back in small steps (sqlite.org/pragma.html).
    "PRAGMA auto_vacuum = INCREMENTAL",
    "PRAGMA journal_mode = WAL",
    # In WAL mode NORMAL can lose the last commits on power loss, never the file's consistency.
    "PRAGMA synchronous = NORMAL",
    # Cut the WAL back after a checkpoint, so that a burst of writes does not stay on disk.
    "PRAGMA journal_size_limit = 16777216",
    # REPLACE fires the delete trigger only with this (sqlite.org/lang_conflict.html).
    "PRAGMA recursive_triggers = ON",
    # Notice damage in pages early, and run no function that a foreign file's schema names.
    "PRAGMA cell_size_check = ON",
    "PRAGMA trusted_schema = OFF",
)

_TABLES = """
BEGIN;
CREATE TABLE entries (
    key TEXT PRIMARY KEY,
    tags TEXT NOT NULL,              -- a JSON array
    priority INTEGER NOT NULL,
    used_at REAL NOT NULL,
    usable_until REAL NOT NULL,
    row BLOB NOT NULL                -- what gateway.tiers.codec makes
) STRICT;
CREATE INDEX entries_by_expiry ON entries (usable_until);
CREATE INDEX entries_by_worth ON entries (priority, used_at);
CREATE INDEX entries_by_use ON entries (used_at);  -- max(used_at) at the next start
CREATE TABLE tags (tag TEXT, key TEXT, PRIMARY KEY (tag, key)) STRICT, WITHOUT ROWID;
CREATE TRIGGER entries_tagged AFTER INSERT ON entries BEGIN
    INSERT OR IGNORE INTO tags SELECT value, new.key FROM json_each(new.tags);
END;
CREATE TRIGGER entries_untagged AFTER DELETE ON entries BEGIN
    DELETE FROM tags WHERE key = old.key AND tag IN (SELECT value FROM json_each(old.tags));
END;
COMMIT;
"""


def open_file(name: str, now: float) -> sqlite3.Connection:
    """A connection that has the file `name` for itself, with the tables made; to be called in the thread that uses it.

    A file that is damaged, foreign or of another version is renamed to `NAME.damaged-TIME`, never deleted, and a new
    one is made. When the file remembers a time after `now`, the wall clock was set back since: nobody knows how old the
    entries are, so they are dropped. Raises TierError when the folder can't be made or written, or when another process
    has the file.
    """
    path = Path(name).expanduser().absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        problem = _problem_of(path)
        if problem is not None:
            aside = _set_aside(path)
            log.warning("cache file set aside", path=str(path), moved_to=str(aside), problem=problem)
        connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_TIMEOUT)
        try:
            _configure(connection)
            _distrust_the_future(connection, path, now)
        except BaseException:
            connection.close()
            raise
    except OSError as error:
        raise TierError(f"can't use {path}: {error.strerror or error}") from error
    except sqlite3.Error as error:
        raise TierError(f"can't use {path}: {_sentence(error)}") from error
    return connection


def _configure(connection: sqlite3.Connection) -> None:
    for pragma in _PRAGMAS:
        connection.execute(pragma)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("COMMIT")
    if connection.execute("PRAGMA user_version").fetchone() == (0,):
        connection.executescript(_TABLES)
        connection.execute(f"PRAGMA user_version = {VERSION}")


def _distrust_the_future(connection: sqlite3.Connection, path: Path, now: float) -> None:
    (latest,) = connection.execute("SELECT max(used_at) FROM entries").fetchone()
    if latest is not None and latest > now + CLOCK_TOLERANCE:
        log.warning("the clock was set back, cache emptied", path=str(path), seconds=round(latest - now))
        connection.execute("DELETE FROM entries")


def _problem_of(path: Path) -> str | None:
    """Why the file can't be used as it is, or None."""
    if not path.exists():
        return None
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_TIMEOUT)
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("COMMIT")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
            if version != VERSION and tables:
                return f"its tables have version {version}, this gateway writes version {VERSION}"
            if version == VERSION and not tables >= {"entries", "tags"}:
                return "its tables are missing"
            for (finding,) in connection.execute("PRAGMA quick_check(1)") if path.stat().st_size < _QUICK else ():
                if finding != "ok":
                    return str(finding)
        finally:
            connection.close()
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        return str(error)
    return None


def _set_aside(path: Path) -> Path:
    """Rename the file with its WAL; the name says when."""
    stamp = time.strftime("%Y%m%dT%H%M%S")
    for attempt in range(1000):
        aside = path.with_name(f"{path.name}.damaged-{stamp}" + (f"-{attempt}" if attempt else ""))
        if not aside.exists():
            break
    for suffix in ("-wal", "-shm"):
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            companion.rename(aside.with_name(aside.name + suffix))
    return path.rename(aside)


def _sentence(error: sqlite3.Error) -> str:
    match getattr(error, "sqlite_errorname", ""):
        case "SQLITE_BUSY" | "SQLITE_LOCKED":
            return "another process has it open"
        case "SQLITE_CANTOPEN" | "SQLITE_READONLY" | "SQLITE_READONLY_DIRECTORY" | "SQLITE_READONLY_CANTINIT":
            return "the folder is not writable"
        case "SQLITE_FULL":
            return "the disk is full"
        case _:
            return str(error)
