"""Rows of the disk tier's file: written and deleted, also those that are damaged."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

_INSERT = (
    """INSERT OR REPLACE INTO entries (key, tags, priority, used_at, usable_until, generation, row)
    VALUES (?,?,?,?,?,?,?)""",
    "UPDATE entries SET tags = '[]' WHERE key = ?",
)
_DELETE_KEY = ("DELETE FROM entries WHERE key = ?", "UPDATE entries SET tags = '[]' WHERE key = ?")
_DELETE_ROWS = (
    "DELETE FROM entries WHERE rowid IN (SELECT value FROM json_each(?))",
    "UPDATE entries SET tags = '[]' WHERE rowid IN (SELECT value FROM json_each(?))",
)
"""What deletes rows, and what makes them deletable: see `_execute`."""


class Row(NamedTuple):
    """A row as it is read: enough to decode it."""

    rowid: int
    key: str
    generation: int
    row: bytes


def insert(connection: sqlite3.Connection, row: Sequence[Any]) -> None:
    """Write a row: key, tags, priority, used_at, usable_until, generation and what the codec made."""
    _execute(connection, *_INSERT, row)


def delete(connection: sqlite3.Connection, rowids: Sequence[int]) -> int:
    """Delete rows; how many there were."""
    return _execute(connection, *_DELETE_ROWS, (orjson.dumps(rowids).decode(),))


def delete_key(connection: sqlite3.Connection, key: str) -> int:
    """Delete the row of `key`; whether there was one."""
    return _execute(connection, *_DELETE_KEY, (key,))


def _execute(connection: sqlite3.Connection, sql: str, without_tags: str, parameters: Sequence[Any]) -> int:
    """Execute something that deletes rows; how many there were.

    The trigger can't look up damaged tags in their index, so those are emptied then. What they leave in the index
    selects nothing.
    """
    try:
        return connection.execute(sql, parameters).rowcount
    except sqlite3.OperationalError as error:
        if "malformed JSON" not in str(error):
            raise
        connection.execute(without_tags, parameters[:1])
        return connection.execute(sql, parameters).rowcount
