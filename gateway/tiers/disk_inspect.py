"""What operators ask of the disk tier: which entries there are, and whether the file is sound."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import orjson

from gateway.errors import TierError
from gateway.pipeline.glob import Glob
from gateway.pipeline.model import Entry, Priority
from gateway.tiers.codec import DamagedRowError
from gateway.tiers.disk import DiskTier
from gateway.tiers.disk_batch import Kind
from gateway.tiers.disk_entries import live
from gateway.tiers.disk_rows import Row, delete
from gateway.tiers.disk_store import Store

_PAGE = 200
"""Rows that are read at once, so that requests get their turn in between."""
_LARGE = 4_000_000
"""Bytes of rows at which a page ends early."""

_ROWS = "SELECT rowid, CAST(key AS BLOB), tags, priority, usable_until, generation, row FROM entries"
_AFTER_ROW = f"{_ROWS} WHERE rowid > ? ORDER BY rowid LIMIT ?"
_FROM_KEY = "SELECT CAST(key AS BLOB) FROM entries WHERE key >= CAST(? AS TEXT) ORDER BY key LIMIT ?"
_AFTER_KEY = "SELECT CAST(key AS BLOB) FROM entries WHERE key > CAST(? AS TEXT) ORDER BY key LIMIT ?"
_OF_KEY = "SELECT rowid, key, generation, row FROM entries WHERE key = ?"
_TAGGED = "SELECT count(*) FROM tags WHERE key = ? AND tag IN (SELECT value FROM json_each(?))"
_LOST = """SELECT tag, key FROM tags WHERE (tag, key) > (?, ?)
AND NOT EXISTS (SELECT 1 FROM entries WHERE entries.key = tags.key) ORDER BY tag, key LIMIT ?"""


@dataclass(frozen=True, slots=True)
class Listing:
    """An entry as `keys` lists it."""

    key: str
    size: int
    """Bytes of its row, compressed."""
    entry: Entry


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found."""

    rows: int
    good: int
    damaged: Mapping[str, int]
    """Rows that can't be used, by kind: "checksum", "format", "body" (does not decode), "columns" (beside the row is
    something else than in it), "unreachable" (its key does not lead to it)."""
    orphans: int
    """Entries in the index of tags that lead nowhere, and tags that are missing from it."""
    problems: Sequence[str]
    """What SQLite's integrity_check says, or the error at which reading ended."""
    repaired: bool = False
    """Whether what was damaged was deleted."""

    @property
    def sound(self) -> bool:
        """Whether there is nothing to repair."""
        return not (self.damaged or self.orphans or self.problems)


@dataclass(slots=True)
class _Findings:
    rows: int = 0
    good: int = 0
    orphans: int = 0
    damaged: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    bad: list[int] = field(default_factory=list)
    """Rows that a repair deletes."""

    def add(self, page: _Findings) -> None:
        self.rows += page.rows
        self.good += page.good
        self.orphans += page.orphans
        self.damaged += page.damaged
        self.bad += page.bad


async def list_entries(
    disk: DiskTier, pattern: str = "*", *, limit: int = 100, after: str | None = None
) -> Sequence[Listing]:
    """Up to `limit` entries whose key matches the glob `pattern`, by key, from the one behind `after` on.

    Neither purged nor damaged ones are among them. Pages through all keys, so a pattern with a long literal beginning
    is faster. Raises TierError.
    """
    glob, prefix = Glob(pattern), pattern.partition("*")[0].encode()
    query, start = _FROM_KEY, prefix
    if after is not None and after.encode() >= prefix:
        query, start = _AFTER_KEY, after.encode()
    listed: list[Listing] = []
    while len(listed) < limit:
        keys, found = await disk.do(Kind.READ, partial(_page_of_keys, glob=glob, query=query, start=start))
        listed += found
        if not keys or not keys[-1].startswith(prefix):
            break
        query, start = _AFTER_KEY, keys[-1]
    return listed[:limit]


def _page_of_keys(store: Store, glob: Glob, query: str, start: bytes) -> tuple[list[bytes], list[Listing]]:
    keys = [key or b"" for (key,) in store.connection.execute(query, (start, _PAGE))]
    found = []
    for key in (key.decode("utf-8", "replace") for key in keys):
        row: tuple[int, str, int, bytes] | None = None
        if glob.matches(key):
            row = store.connection.execute(_OF_KEY, (key,)).fetchone()
        with suppress(DamagedRowError):
            entry = live(store, Row(*row)) if row is not None else None
            if row is not None and entry is not None:
                found.append(Listing(key, len(row[3]), entry))
    return keys, found


async def verify(disk: DiskTier, *, repair: bool = False, deep: bool = True) -> Verification:
    """Read everything, and say what was found; with `repair`, delete what is damaged and make the indices anew.

    Rows are read page by page with requests served in between. `deep` ends with SQLite's own integrity_check, which
    holds the connection for as long as reading the file takes: leave it out on a gateway that serves from a large one.
    """
    findings, set_aside = _Findings(), disk.file.set_aside
    try:
        after: int | None = -1
        while after is not None:
            found, after = await disk.do(Kind.READ, partial(_verify_page, after=after))
            findings.add(found)
        if repair and findings.bad:
            await disk.do(Kind.CHANGE, partial(_delete_damaged, rowids=findings.bad))
        await _verify_tags(disk, findings, repair=repair)
        if deep:
            findings.problems += await disk.do(Kind.READ, _integrity)
    except TierError as error:
        findings.problems.append(str(error))
    if disk.file.set_aside > set_aside:
        findings.problems.append("the file turned out to be damaged and was set aside; a new one is in its place")
    damage = bool(findings.damaged or findings.orphans)
    return Verification(
        findings.rows,
        findings.good,
        dict(findings.damaged),
        findings.orphans,
        tuple(findings.problems),
        repaired=repair and damage and not findings.problems,
    )


def _verify_page(store: Store, after: int) -> tuple[_Findings, int | None]:
    findings, last, size = _Findings(), None, 0
    for last, key, tags, priority, usable_until, generation, row in store.connection.execute(
        _AFTER_ROW, (after, _PAGE)
    ):
        read = Row(last, (key or b"").decode("utf-8", "replace"), generation, row)
        kind = damage_of(store, read, (tags, priority, usable_until))
        missing = 0 if kind is not None else _missing_tags(store, read.key, tags)
        findings.rows += 1
        findings.orphans += missing
        if kind is None:
            findings.good += 1
        else:
            findings.damaged[kind] += 1
        if kind is not None or missing:
            findings.bad.append(last)
        size += len(row) if isinstance(row, bytes) else 0
        if size > _LARGE:
            break
    return findings, last


def _delete_damaged(store: Store, rowids: Sequence[int]) -> None:
    # SQLite can't delete a row that its index does not lead to, so the indices come first; in one transaction, since
    # with a new index the row would be served again.
    store.connection.execute("REINDEX").fetchall()
    store.counters.damaged += delete(store.connection, rowids)


def damage_of(store: Store, row: Row, beside: tuple[str, int, float]) -> str | None:
    """What kind of damage a row has, which `beside` it has these tags, priority and time; None for none."""
    try:
        if not isinstance(row.row, bytes) or type(row.generation) is not int:
            return "columns"
        entry = store.codec.decode(row.key, row.row, row.generation)
    except DamagedRowError as error:
        return error.kind
    if beside != (orjson.dumps(entry.tags).decode(), Priority(entry.priority), entry.usable_until):
        return "columns"
    if store.connection.execute("SELECT rowid FROM entries WHERE key = ?", (row.key,)).fetchone() != (row.rowid,):
        return "unreachable"
    return None


def _missing_tags(store: Store, key: str, tags: str) -> int:
    """How many of an entry's tags are missing from their index."""
    (count,) = store.connection.execute(_TAGGED, (key, tags)).fetchone()
    return len(set(orjson.loads(tags))) - int(count)


async def _verify_tags(disk: DiskTier, findings: _Findings, *, repair: bool) -> None:
    after: tuple[str, str] | None = ("", "")
    while after is not None:
        lost, after = await disk.do(
            Kind.CHANGE if repair else Kind.READ, partial(_lost_tags, after=after, repair=repair)
        )
        findings.orphans += lost


def _lost_tags(store: Store, after: tuple[str, str], *, repair: bool) -> tuple[int, tuple[str, str] | None]:
    lost = store.connection.execute(_LOST, (*after, _PAGE)).fetchall()
    if repair:
        store.connection.executemany("DELETE FROM tags WHERE tag = ? AND key = ?", lost)
    return len(lost), lost[-1] if len(lost) == _PAGE else None


def _integrity(store: Store) -> list[str]:
    try:
        found = [str(line) for (line,) in store.connection.execute("PRAGMA integrity_check(20)")]
    except sqlite3.DatabaseError as error:
        return [str(error)]
    return [] if found == ["ok"] else found
