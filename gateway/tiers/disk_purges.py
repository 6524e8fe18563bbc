"""The purge log: what was purged, as every read checks it and as the file remembers it."""

from __future__ import annotations

import hashlib
import sqlite3
import struct
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

import msgpack

from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Entry

MAX_RECORDS = 4096
"""Purges that are remembered one by one. Beyond, the oldest is widened to everything from before it."""

MAX_PATTERNS = 16
"""Those among them that are no tag: each read tries every one, so there have to be few. Tags are looked up."""

_MARK = struct.Struct(">QQQdQ16s")
_CHECKSUM = 16


class DamagedLogError(Exception):
    """The log is not what was written: nobody knows what was purged."""


@dataclass(frozen=True, slots=True)
class Purge:
    """A purge that is remembered: of the selected entries, those stamped below `generation` are meant."""

    generation: int
    selector: Selector
    soft: bool
    at: float
    until: float
    """From here on nobody may use anything from before the purge, so it can be forgotten."""
    swept: bool = False
    """Whether the rows are deleted; a record that is swept is kept against a damaged index."""


class PurgeLog:
    """Decides what of an entry is left after the purges since it was put.

    Every row is stamped with the generation, the number of purges before it, and the row's checksum covers the stamp
    (compare Varnish's ban list). A purge is one small record: at once durable, whatever the number of its entries, and
    independent of the index of tags, since a read compares the tags in the row itself. Deleting the rows comes after.

    The file keeps one record a purge, and a mark with the generation, the floor below which everything is purged, and a
    digest of the records; a log whose digest does not match is refused whole.
    """

    def __init__(self) -> None:
        self.generation = 0
        self.floor = 0
        """Everything stamped below is purged."""
        self.swept_floor = 0
        """The floor below which all rows are deleted."""
        self.latest = 0.0
        """No entry may be used after this."""
        self._digest = 0
        self.records: dict[int, Purge] = {}
        self._tags: dict[str, list[Purge]] = defaultdict(list)
        self._patterns: list[Purge] = []

    @classmethod
    def load(cls, mark: bytes, rows: Sequence[tuple[int, bytes]]) -> PurgeLog:
        """The log that was saved as `mark` and `rows`. Raises DamagedLogError when it was not."""
        log = cls()
        if not isinstance(mark, bytes) or not all(isinstance(data, bytes) for _, data in rows):
            raise DamagedLogError("the purge log's columns have other types")
        body, checksum = mark[:-_CHECKSUM], mark[-_CHECKSUM:]
        if len(body) != _MARK.size or checksum != _hash(body):
            raise DamagedLogError("the purge log's mark is damaged")
        log.generation, log.floor, log.swept_floor, log.latest, count, digest = _MARK.unpack(body)
        for generation, data in rows:
            log._digest ^= _record_hash(generation, data)
        if count != len(rows) or log._digest != int.from_bytes(digest, "big"):
            raise DamagedLogError("the purge log is damaged")
        for generation, data in rows:
            kind, value, *rest = msgpack.unpackb(data, use_list=False)
            log._remember(Purge(generation, Selector(kind, value), *rest))
        return log

    def mark(self) -> bytes:
        """What has to be saved beside the records, in the same transaction."""
        digest = self._digest.to_bytes(16, "big")
        body = _MARK.pack(self.generation, self.floor, self.swept_floor, self.latest, len(self.records), digest)
        return body + _hash(body)

    def apply(self, key: str, entry: Entry, generation: int) -> Entry | None:
        """What the purges since `generation` leave of `entry`: itself, a stale one, or None."""
        if generation >= self.generation:
            return entry
        if generation < self.floor:
            return None
        for purge in chain(self._patterns, *(self._tags[tag] for tag in entry.tags if tag in self._tags)):
            if generation < purge.generation and purge.selector.matches(key, entry.tags):
                if not purge.soft:
                    return None
                entry = entry.made_stale(purge.at)
        return entry

    def purge_all(self, connection: sqlite3.Connection) -> None:
        """Nothing that was put before this is of use any more."""
        self.generation += 1
        self._raise_floor(connection, self.generation)

    def add(self, connection: sqlite3.Connection, selector: Selector, *, soft: bool, at: float) -> Purge:
        """A purge happens now; it is saved with the transaction that `connection` is in."""
        if not soft:  # it covers whatever earlier ones of the same entries did
            for older in [old for old in self._group(selector) if old.selector == selector]:
                self._forget(connection, older)
        self.generation += 1
        purge = Purge(self.generation, selector, soft, at, until=self.latest)
        self._save(connection, purge)
        if len(self._patterns) > MAX_PATTERNS:
            self._make_room(connection, self._patterns)
        if len(self.records) > MAX_RECORDS:
            self._make_room(connection, list(self.records.values()))
        return purge

    def swept(self, connection: sqlite3.Connection, purge: Purge) -> None:
        """All rows that `purge` is about are deleted."""
        if self.records.get(purge.generation) == purge:
            self._forget(connection, purge)
            self._save(connection, replace(purge, swept=True))

    def forget_before(self, connection: sqlite3.Connection, now: float, limit: int) -> int:
        """Forget up to `limit` purges that can't matter any more; how many there were."""
        old = [purge for purge in self.records.values() if purge.until <= now][:limit]
        for purge in old:
            self._forget(connection, purge)
        return len(old)

    def unswept(self) -> Purge | None:
        """The oldest purge whose rows are still to be deleted."""
        return next((purge for purge in self.records.values() if not (purge.soft or purge.swept)), None)

    def copy(self, connection: sqlite3.Connection) -> None:
        """Write the records into another file, which has none; its mark has to follow."""
        records = [(purge.generation, _packed(purge)) for purge in self.records.values()]
        connection.executemany("INSERT INTO purges VALUES (?, ?)", records)

    def _make_room(self, connection: sqlite3.Connection, among: Sequence[Purge]) -> None:
        """Forget the oldest one whose rows are gone; if there is none, widen the oldest to all that is older.

        It may purge more then, never less: of soft ones the two oldest become one, which makes everything older stale
        as of the later of them; a hard one gives everything older up.
        """
        for purge in among:
            if purge.swept:
                self._forget(connection, purge)
                return
        soft = [purge for purge in among if purge.soft][:2]
        if len(soft) < 2:
            self._raise_floor(connection, among[0].generation)
            return
        for purge in soft:
            self._forget(connection, purge)
        last = soft[-1]
        until = max(purge.until for purge in soft)
        self._save(connection, replace(last, selector=Selector("all"), until=until))

    def _raise_floor(self, connection: sqlite3.Connection, floor: int) -> None:
        self.floor = max(self.floor, floor)
        for purge in [purge for purge in self.records.values() if purge.generation <= self.floor]:
            self._forget(connection, purge)

    def _save(self, connection: sqlite3.Connection, purge: Purge) -> None:
        connection.execute("INSERT INTO purges VALUES (?, ?)", (purge.generation, _packed(purge)))
        self._digest ^= _record_hash(purge.generation, _packed(purge))
        self._remember(purge)

    def _forget(self, connection: sqlite3.Connection, purge: Purge) -> None:
        connection.execute("DELETE FROM purges WHERE generation = ?", (purge.generation,))
        self._digest ^= _record_hash(purge.generation, _packed(purge))
        del self.records[purge.generation]
        self._group(purge.selector).remove(purge)
        if purge.selector.kind == "tag" and not self._tags[purge.selector.value]:
            del self._tags[purge.selector.value]

    def _remember(self, purge: Purge) -> None:
        self.records[purge.generation] = purge
        self._group(purge.selector).append(purge)

    def _group(self, selector: Selector) -> list[Purge]:
        return self._tags[selector.value] if selector.kind == "tag" else self._patterns


def _packed(purge: Purge) -> bytes:
    selector = purge.selector
    return bytes(msgpack.packb((selector.kind, selector.value, purge.soft, purge.at, purge.until, purge.swept)))


def _record_hash(generation: int, data: bytes) -> int:
    return int.from_bytes(_hash(generation.to_bytes(8, "big") + data), "big")


def _hash(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_CHECKSUM).digest()
