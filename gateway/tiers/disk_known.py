"""Which keys the disk tier's file may have: what it can't have is not looked for there.

A look-up waits for its turn with the connection and for what is being written, and most first requests find nothing. A
Bloom filter in memory answers those at once (B. Bloom, "Space/time trade-offs in hash coding with allowable errors",
Communications of the ACM 13(7), 1970), as databases have one for each of their files.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from gateway.tiers.disk_store import Store

_BITS = 10
"""For each key at least: with four probes, one of 80 keys that are not there is looked for all the same."""
_PROBES = 4
_LEAST = 4096
"""Keys that there is room for at least."""

_KEYS = """SELECT CAST(key AS BLOB) FROM entries
WHERE key > CAST(? AS TEXT) AND typeof(key) = 'text' ORDER BY key LIMIT ?"""
"""A damaged key of another type leads nowhere; as bytes it would come after every text, again and again."""


class KeyFilter:
    """Tells of each key that was added that it is in, and of nearly all others that they are not.

    Where a key is depends on Python's own hash, which differs from process to process: nobody can choose keys that
    collide.
    """

    __slots__ = ("_bits", "_mask", "room")

    def __init__(self, keys: int) -> None:
        size = 1 << (max(keys, _LEAST) * _BITS - 1).bit_length()
        self._bits = bytearray(size >> 3)
        self._mask = size - 1
        self.room = size // _BITS
        """Keys that may still be added before others are taken for them too often."""

    def __contains__(self, key: str) -> bool:
        """False: it was never added."""
        bits, mask, place = self._bits, self._mask, hash(key)
        step = place >> 32 | 1
        for _ in range(_PROBES):
            at = place & mask
            if not bits[at >> 3] >> (at & 7) & 1:
                return False
            place += step
        return True

    def add(self, key: str) -> None:
        """Take in `key`."""
        bits, mask, place = self._bits, self._mask, hash(key)
        step = place >> 32 | 1
        before = self.room
        for _ in range(_PROBES):
            at = place & mask
            if not bits[at >> 3] >> (at & 7) & 1:
                bits[at >> 3] |= 1 << (at & 7)
                self.room = before - 1
            place += step


class KnownKeys:
    """The keys of one file: all that were put, and once they are learnt those that were there before.

    Those that were deleted stay in until all are learnt anew, which is due when there are too many. It belongs to the
    event loop's thread.
    """

    def __init__(self) -> None:
        self._filter: KeyFilter | None = None
        self._learning: list[KeyFilter] = []

    @property
    def due(self) -> bool:
        """Whether the file's keys should be learnt."""
        return self._filter is None or self._filter.room < 0

    def may_have(self, key: str) -> bool:
        """False: the file has no such key."""
        return self._filter is None or key in self._filter

    def add(self, keys: Collection[str]) -> None:
        """Note keys that will be in the file; before they are put."""
        for known in (*self._learning, *([] if self._filter is None else [self._filter])):
            for key in keys:
                known.add(key)

    @contextmanager
    def learning(self, entries: int) -> Iterator[KeyFilter]:
        """For the block, a filter for all keys of a file that has about so many; what is put meanwhile is added here.

        Once all that was there is added, too, `use` it.
        """
        learning = KeyFilter(2 * entries)
        self._learning.append(learning)
        try:
            yield learning
        finally:
            self._learning.remove(learning)

    def use(self, learnt: KeyFilter) -> None:
        """Go by this one, which has every key of the file, from now on."""
        self._filter = learnt


def keys_after(store: Store, after: bytes, limit: int) -> list[bytes]:
    """The next keys of the file, in their order. One may be damaged, and no UTF-8."""
    return [key for (key,) in store.connection.execute(_KEYS, (after, limit))]
