"""What may be wrong with the disk tier's file, how it is said, and how the file gets out of the way."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from pathlib import Path
from typing import Literal

import structlog

from gateway.atomic import sync_folder

log = structlog.get_logger(__name__)

_QUICK = 8_000_000
"""Bytes up to which a file is checked when it is opened. A larger one would hold up the start; its rows are checked one
by one when they are read."""

_TABLES = {1: {"entries", "tags"}, 2: {"entries", "tags", "purges", "state"}}

Trouble = Literal["damaged", "full", "other"]

FAILURES = (sqlite3.Error, OSError, TypeError, ValueError, OverflowError)
"""What a damaged file can make Python and SQLite raise: a flipped bit turns a number into a text, or into nothing."""


def trouble(error: BaseException) -> Trouble:
    """What kind of thing went wrong: with the file itself, with the room on its disk, or with what was asked of it."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith("SQLITE_FULL"):
        return "full"
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_IOERR")):
        return "damaged"
    # "no such table", or a column of another type than STRICT allows: the pages with the schema are not what they were.
    if name in ("SQLITE_ERROR", "SQLITE_SCHEMA", "SQLITE_INTERNAL", "SQLITE_MISMATCH"):
        return "damaged"
    # Rows that can't be there beside each other. Of an entry it is the entry's fault: a time that is no number.
    if name.startswith("SQLITE_CONSTRAINT") and "entries." not in str(error):
        return "damaged"
    # Python's own: text in a page that is no UTF-8, which OperationalError says without a code, and a message of
    # SQLite's that quotes such text.
    undecodable = isinstance(error, UnicodeDecodeError) or "Could not decode to UTF-8" in str(error)
    return "damaged" if undecodable else "other"


def problem_of(path: Path, version: int, busy_timeout: float, *, check: bool = True) -> str | None:
    """Why the file can't be used as it is, or None. Raises sqlite3.OperationalError when it can't be opened now."""
    if not path.exists():
        return None
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=busy_timeout)
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("COMMIT")
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
            if found not in (0, *_TABLES) or (found == 0 and tables):
                return f"its tables have version {found}, this gateway writes version {version}"
            if not tables >= _TABLES.get(found, set()):
                return "its tables are missing"
            if check and path.stat().st_size < _QUICK:
                for (finding,) in connection.execute("PRAGMA quick_check(1)"):
                    if finding != "ok":
                        return str(finding)
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        if trouble(error) == "damaged" or (error.sqlite_errorname == "SQLITE_READONLY" and os.access(path, os.W_OK)):
            return str(error)  # the file's header can forbid writing too (sqlite.org/fileformat2.html, offset 18)
        raise
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        return str(error)
    return None


def set_aside(path: Path, keep: int) -> Path:
    """Rename the file with its WAL; the name says when. Of those from before, the newest stay, `keep` with this one.

    The file goes first: a WAL without its file is emptied when a new file is opened, while a file without its WAL would
    come back without the last purges. The folder is synced, so that a power loss does not undo it.
    """
    stamp = time.strftime("%Y%m%dT%H%M%S")
    for attempt in range(1000):
        aside = path.with_name(f"{path.name}.damaged-{stamp}" + (f"-{attempt}" if attempt else ""))
        if not aside.exists():
            break
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            companion.rename(aside.with_name(aside.name + suffix))
    sync_folder(path)
    _delete_old(path, keep)
    return aside


def _delete_old(path: Path, keep: int) -> None:
    """Delete all but the newest `keep` files that were set aside. What only looks like one is left alone."""
    ours = re.compile(re.escape(path.name) + r"\.damaged-(\d{8}T\d{6})(?:-(\d{1,3}))?")
    named = [(match, file) for file in path.parent.iterdir() if (match := ours.fullmatch(file.name)) is not None]
    named.sort(key=lambda pair: (pair[0][1], int(pair[0][2] or 0)), reverse=True)
    for _, file in [(match, file) for match, file in named if file.is_file() and not file.is_symlink()][keep:]:
        try:
            remove(file)
        except OSError as error:
            log.warning("old cache file not deleted", path=str(file), error=error.strerror or str(error))
        else:
            log.warning("old cache file deleted", path=str(file), key="cache.disk.keep_damaged")


def replace(path: Path, new: Path, keep: int) -> None:
    """Set the file aside and give its name to `new`, whose WAL is empty. Never is there a WAL beside another file."""
    set_aside(path, keep)
    new.rename(path)
    sync_folder(path)


def remove(path: Path) -> None:
    """Delete the file with its WAL, durably; the file first, for the reason that `set_aside` gives."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    sync_folder(path)


def sentence(error: sqlite3.Error) -> str:
    """What an operator is told of an error of SQLite's."""
    match getattr(error, "sqlite_errorname", ""):
        case "SQLITE_BUSY" | "SQLITE_LOCKED":
            return "another process has it open"
        case "SQLITE_CANTOPEN" | "SQLITE_READONLY" | "SQLITE_READONLY_DIRECTORY" | "SQLITE_READONLY_CANTINIT":
            return "the folder is not writable"
        case "SQLITE_FULL":
            return "the disk is full"
        case _:
            return str(error)
