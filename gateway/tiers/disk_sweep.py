"""Deletes the rows of what was purged, bit by bit, once the purge itself is on the disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson

from gateway.pipeline.glob import Glob
from gateway.tiers.disk_purges import Purge
from gateway.tiers.disk_rows import delete
from gateway.tiers.disk_slices import Chore, in_slices
from gateway.tiers.disk_store import Store

_PAGE = """SELECT CAST(key AS BLOB) FROM {table}
WHERE {selected}key {after} CAST(:key AS TEXT) AND typeof(key) = 'text' ORDER BY key LIMIT :limit"""
_ALL = tuple(_PAGE.format(table="entries", selected="", after=after) for after in (">=", ">"))
_TAGGED = tuple(_PAGE.format(table="tags", selected="tag = :tag AND ", after=after) for after in (">=", ">"))
"""The first page, and the next ones: of the keys of all entries, and of those with a tag. A damaged key of another type
leads nowhere; as bytes it would come after every text, again and again."""

_ROWS = """SELECT rowid FROM entries
WHERE key = CAST(? AS TEXT) AND generation >= ? AND generation < ? AND instr(tags, ?) > 0"""
"""Those of a key that are still there and from before the purge; a damaged index of tags leads to others, too."""


@dataclass(slots=True, eq=False)
class Sweep:
    """The rows that a purge of a tag or a glob is about, found page by page: deleted, or counted if it is soft.

    A chore of `gateway.tiers.disk_cleanup`. Rows put after the purge have its generation and are left alone.
    """

    purge: Purge
    count: int = 0
    _in_slices: Chore = field(init=False)
    _glob: Glob = field(init=False)
    _prefix: bytes = field(init=False)
    _after: bytes | None = None
    _literal: str = ""

    def __post_init__(self) -> None:
        pattern = "*" if self.purge.selector.kind == "all" else self.purge.selector.value
        self._in_slices = in_slices(self._slice)
        self._glob = Glob(pattern)
        self._prefix = b"" if self.purge.selector.kind == "tag" else pattern.partition("*")[0].encode()

        if self.purge.selector.kind == "tag":
            self._literal = orjson.dumps(self.purge.selector.value).decode()

    def __call__(self, store: Store, limit: int) -> int:
        """The next keys, up to `limit`; 0 when there are no more."""
        return self._in_slices(store, limit)

    def _slice(self, store: Store, limit: int) -> int:
        keys = [key for key in self._page(store, limit) if key.startswith(self._prefix)]
        if not keys:
            store.sweeps.pop(self.purge.generation, None)
            if not self.purge.soft:
                store.purges.swept(store.connection, self.purge)
            return 0
        chosen = [rowid for key in keys if self._selects(key) for rowid in self._rows(store, key)]
        self.count += len(chosen) if self.purge.soft else delete(store.connection, chosen)
        self._after = keys[-1]
        return len(keys)

    def _selects(self, key: bytes) -> bool:
        return self.purge.selector.kind == "tag" or self._glob.matches(key.decode("utf-8", "replace"))

    def _rows(self, store: Store, key: bytes) -> Iterator[int]:
        parameters = (key, store.purges.floor, self.purge.generation, self._literal)
        yield from (rowid for (rowid,) in store.connection.execute(_ROWS, parameters))

    def _page(self, store: Store, limit: int) -> list[bytes]:
        # Keys are bytes here: a damaged one may be no UTF-8, and has to sort where SQLite sorts it.
        query = (_TAGGED if self.purge.selector.kind == "tag" else _ALL)[self._after is not None]
        start = self._prefix if self._after is None else self._after
        parameters = {"tag": self.purge.selector.value, "key": start, "limit": limit}
        rows = store.connection.execute(query, parameters)
        return [key for (key,) in rows]


def sweep_purges(store: Store, limit: int) -> int:
    """Delete what purges left behind: of callers that went away, and from before a kill."""
    purge = store.purges.unswept()
    if purge is None:
        return 0
    sweep = store.sweeps.setdefault(purge.generation, Sweep(purge))
    return sweep(store, limit) or 1


@in_slices
def sweep_floor(store: Store, limit: int) -> int:
    """Delete what was purged altogether, row after row."""
    purges = store.purges
    if purges.swept_floor >= purges.floor:
        return 0
    floor, after = store.floor_sweep
    if floor != purges.floor:
        floor, after = purges.floor, 0
    query = "SELECT rowid, generation < ? FROM entries WHERE rowid > ? ORDER BY rowid LIMIT ?"
    rows = store.connection.execute(query, (floor, after, limit)).fetchall()
    if not rows:
        purges.swept_floor = floor
        store.doomed = 0
        return 1
    store.doomed = max(0, store.doomed - delete(store.connection, [rowid for rowid, below in rows if below]))
    store.floor_sweep = floor, rows[-1][0]
    return len(rows)
