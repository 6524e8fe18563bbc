"""One index: a table of sections in FTS5, in a file or in memory. Everything here blocks, one thread at a time.

A row of `words` is a section as terms (see terms.py), in columns that weigh differently; `sections` and `pages` hold
what is shown of it. An index is never changed: it is built beside the old one and takes its place when it is complete.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import orjson

from gateway.errors import StartError
from gateway.profile.upstreams.search import Weights
from gateway.upstream.search.pages import Page
from gateway.upstream.search.query import Phrase, Query
from gateway.upstream.search.sections import Text
from gateway.upstream.search.terms import indexed

FORMAT = 1
"""Raised whenever an index of an older gateway would not do."""

_SCHEMA = """
CREATE TABLE about (fingerprint TEXT NOT NULL);
CREATE TABLE pages (
  id INTEGER PRIMARY KEY, path TEXT NOT NULL, title TEXT NOT NULL, fields TEXT NOT NULL, weight REAL NOT NULL
);
CREATE TABLE fields (
  name TEXT NOT NULL, value TEXT NOT NULL, page INTEGER NOT NULL, PRIMARY KEY (name, value, page)
) WITHOUT ROWID;
CREATE TABLE sections (
  id INTEGER PRIMARY KEY, page INTEGER NOT NULL, headings TEXT NOT NULL, body TEXT NOT NULL, code TEXT NOT NULL
);
CREATE VIRTUAL TABLE words USING fts5(
  name, title, headings, body, code, tokenize = 'porter unicode61 remove_diacritics 2'
);
"""
_BEST = """
SELECT sections.page, sections.id, bm25(words, ?, ?, ?, ?, ?) AS score
FROM words JOIN sections ON sections.id = words.rowid WHERE words MATCH ? {filters}
ORDER BY score, sections.id LIMIT 20000
"""
_SHOWN = """
SELECT pages.path, pages.title, pages.fields, sections.headings, sections.body, sections.code,
  highlight(words, 3, char(2), char(3)), highlight(words, 4, char(2), char(3))
FROM words JOIN sections ON sections.id = words.rowid JOIN pages ON pages.id = sections.page
WHERE words MATCH ? AND words.rowid = ?
"""
_ALL = """
SELECT pages.path, pages.title, pages.fields, sections.headings, sections.body, sections.code
FROM pages LEFT JOIN sections ON sections.id = (SELECT min(id) FROM sections WHERE page = pages.id)
WHERE true {filters} ORDER BY pages.path LIMIT ? OFFSET ?
"""
_NARROWED = " AND {page} IN (SELECT page FROM fields WHERE name = ? AND value = ?)"
_MORE_SECTIONS = 0.2
"""What a page's second best section adds to its score; the third adds the square of it, and so on. Measured with the
questions of terms.py: the best section alone finds two right pages less, half of each next one three."""
_SECTIONS = 5


@dataclass(frozen=True, slots=True)
class Found:
    """One page with its best section."""

    path: str
    title: str
    fields: Mapping[str, str]
    headings: Sequence[str]
    body: str
    code: str
    marked_body: str
    """The body's terms between spaces, the found ones between U+0002 and U+0003."""
    marked_code: str
    score: float


@dataclass(frozen=True, slots=True)
class Answer:
    """Some of the pages found, best first, and how many there are."""

    total: int
    found: tuple[Found, ...]


class Index:
    """An index that is open. Its methods raise sqlite3.Error when the file is damaged."""

    def __init__(self, connection: sqlite3.Connection, fingerprint: str, path: Path | None = None) -> None:
        self.fingerprint = fingerprint
        """Of what it was built of: another one whenever a document, a field or this code has changed."""
        self.path = path
        self.closed = False
        self._connection = connection
        self._busy = threading.Lock()

    def search(self, query: Query, filters: Mapping[str, str], weights: Weights, *, limit: int, offset: int) -> Answer:
        """The pages with the query's words, one hit each, that have these values in these fields."""
        try:
            with self._busy:
                return self._search(query, filters, weights, limit, offset)
        finally:
            if self.closed:
                self.close()

    def close(self) -> None:
        """Close the connection at once, or by the thread that searches when that is done. Never blocks."""
        self.closed = True
        if self._busy.acquire(blocking=False):
            try:
                self._connection.close()
            finally:
                self._busy.release()

    def _search(self, query: Query, filters: Mapping[str, str], weights: Weights, limit: int, offset: int) -> Answer:
        if query.everything:
            return self._all(filters, limit, offset)
        expression = query.expression(self._is_known)
        if expression is None:
            return Answer(0, ())
        scores, best = self._scored(expression, filters, weights)
        ranked = sorted(scores, key=lambda page: (-scores[page], page))
        shown = [(best[page], scores[page]) for page in ranked[offset : offset + limit]]
        return Answer(len(ranked), tuple(self._found(expression, section, score) for section, score in shown))

    def _scored(
        self, expression: str, filters: Mapping[str, str], weights: Weights
    ) -> tuple[dict[int, float], dict[int, int]]:
        """Score and best section of every page that is found."""
        weighing = (weights.name, weights.title, weights.headings, weights.body, weights.code)
        narrowed = _NARROWED.format(page="sections.page") * len(filters)
        values = [text for pair in filters.items() for text in pair]
        rows = self._connection.execute(_BEST.format(filters=narrowed), (*weighing, expression, *values))
        of_page: dict[int, list[tuple[float, int]]] = {}
        for page, section, score in rows:
            of_page.setdefault(page, []).append((-score, section))
        worth = dict(self._connection.execute("SELECT id, weight FROM pages"))
        scores = {
            page: worth[page] * sum(score * _MORE_SECTIONS**rank for rank, (score, _) in enumerate(found[:_SECTIONS]))
            for page, found in of_page.items()
        }
        return scores, {page: found[0][1] for page, found in of_page.items()}

    def _all(self, filters: Mapping[str, str], limit: int, offset: int) -> Answer:
        """The pages with these fields in the order of their paths, each with its first section."""
        narrowed = _NARROWED.format(page="pages.id") * len(filters)
        values = [text for pair in filters.items() for text in pair]
        (total,) = self._connection.execute(f"SELECT count(*) FROM pages WHERE true {narrowed}", values).fetchone()  # noqa: S608  # our own words
        rows = self._connection.execute(_ALL.format(filters=narrowed), (*values, limit, offset))
        return Answer(total, tuple(_unmarked(row) for row in rows))

    def _found(self, expression: str, section: int, score: float) -> Found:
        row = self._connection.execute(_SHOWN, (expression, section)).fetchone()
        path, title, fields, headings, body, code, marked_body, marked_code = row
        shown = orjson.loads(fields), orjson.loads(headings)
        return Found(path, title, *shown, body, code, marked_body, marked_code, score)

    def _is_known(self, phrase: Phrase) -> bool:
        asked = self._connection.execute("SELECT 1 FROM words WHERE words MATCH ? LIMIT 1", (str(phrase),))
        return asked.fetchone() is not None


def _unmarked(row: Sequence[str | None]) -> Found:
    path, title, fields, headings, body, code = row
    shown = orjson.loads(fields or "{}"), orjson.loads(headings or "[]")
    return Found(path or "", title or "", *shown, body or "", code or "", "", "", 0.0)


def require_fts5() -> None:
    """Raise StartError where Python's SQLite was built without FTS5."""
    try:
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.executescript(_SCHEMA)
    except sqlite3.Error as error:
        raise StartError(
            f"Python's SQLite ({sqlite3.sqlite_version}) can't search: {error}. "
            'An upstream with type = "search" needs one that is built with FTS5.'
        ) from error


def build(texts: Iterable[tuple[Page, Text]], fingerprint: str, path: Path | None) -> Index:
    """A new index of these pages; with `path`, in that file, which it replaces when it is complete.

    Raises sqlite3.Error and OSError, and leaves what was there.
    """
    if path is None:
        connection = sqlite3.connect(":memory:", check_same_thread=False)
        try:
            _fill(connection, texts, fingerprint)
        except BaseException:
            connection.close()
            raise
        return Index(connection, fingerprint)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(part)) as connection:
            # A power loss may leave a damaged file behind; it is recognised when it is opened, and built anew.
            connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
            _fill(connection, texts, fingerprint)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return Index(_connected(path), fingerprint, path)


def open_index(path: Path, fingerprint: str) -> Index | None:
    """The index in the file, if it is whole and of this fingerprint."""
    if not path.exists():
        return None
    connection: sqlite3.Connection | None = None
    try:
        connection = _connected(path)
        (found,) = connection.execute("SELECT fingerprint FROM about").fetchone()
        (state,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        connection.execute("INSERT INTO words (words) VALUES ('integrity-check')")
        connection.rollback()
    except (sqlite3.Error, TypeError, ValueError):
        found = state = None
    if found == fingerprint and state == "ok" and connection is not None:
        return Index(connection, fingerprint, path)
    if connection is not None:
        connection.close()
    return None


def prune(folder: Path, name: str, keep: int, in_use: Collection[Path]) -> None:
    """Delete the oldest index files of the search `name` until `keep` are left; those in use stay.

    They are of releases that nobody asks for any more, and of what the profile said before.
    """
    own = re.compile(rf"{re.escape(name)}-[0-9a-f]{{24}}\.search")
    files = [path for path in folder.iterdir() if own.fullmatch(path.name)]
    files.sort(key=lambda path: (path in in_use, path.stat().st_mtime_ns), reverse=True)
    for path in files[keep:]:
        if path not in in_use:
            path.unlink(missing_ok=True)


def _connected(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, check_same_thread=False)


def _fill(connection: sqlite3.Connection, texts: Iterable[tuple[Page, Text]], fingerprint: str) -> None:
    connection.executescript(_SCHEMA)
    insert = partial(_insert, connection)
    with connection:
        insert("about", (fingerprint,))
        number = 0
        for identity, (page, text) in enumerate(texts):
            title = text.title or " ".join(page.names)
            insert("pages", (identity, page.path, title, orjson.dumps(dict(page.fields)).decode(), page.weight))
            for name, value in page.fields.items():
                insert("fields", (name, value, identity))
            names = indexed(" ".join(page.names))
            for section in text.sections:
                insert(
                    "sections",
                    (number, identity, orjson.dumps(section.headings).decode(), section.body, section.code),
                )
                parts = (title, " ".join(section.headings), section.body, section.code)
                connection.execute(
                    "INSERT INTO words (rowid, name, title, headings, body, code) VALUES (?, ?, ?, ?, ?, ?)",
                    (number, names, *map(indexed, parts)),
                )
                number += 1
        connection.execute("INSERT INTO words (words) VALUES ('optimize')")


def _insert(connection: sqlite3.Connection, table: str, row: Sequence[object]) -> None:
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} VALUES ({marks})", row)  # noqa: S608  # names and marks of our own
