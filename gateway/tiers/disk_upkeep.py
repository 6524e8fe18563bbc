"""How the janitor's chores are done: in bits that learn their size, with the WAL moved in turns of their own."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import trio

from gateway.errors import TierError
from gateway.tiers.disk_batch import Job, Kind
from gateway.tiers.disk_cleanup import Chore
from gateway.tiers.disk_store import Store

TARGET = 0.004
"""Seconds that a bit should take, so that with what may fall into it, it stays below 20 ms."""
_MAX_BIT = 256
"""Rows or pages in one bit at most: each may cost a hundred times what the last ones did."""
_MOVE_TARGET = 0.008
"""Seconds that a move of the WAL should take, most of it waiting for the disk, however little there is to move."""
_BETWEEN_MOVES = (32, 2048)
"""Rows or pages between two moves, at least and at most. With less there would be little else than waiting: the first
commit after a move waits for the disk as well, to begin the WAL anew."""
_WAL_BYTES = 1_000_000
"""A WAL up to this size is left as it is when all is done."""


class Pace:
    """How much fits into one bit, learnt from the last ones."""

    def __init__(self, start: int = 16, least: int = 1, most: int = _MAX_BIT, target: float = TARGET) -> None:
        self.size = start
        self._target = target
        self._least = least
        self._most = most

    def shrink(self) -> None:
        """A bit failed."""
        self.size = max(self._least, self.size // 4)

    def settle(self, done: int, seconds: float) -> None:
        """A bit of `done` took so long: the next is larger or smaller."""
        if seconds > self._target:
            self.size = max(self._least, int(min(self.size, done) * self._target / seconds))
        elif done >= self.size:
            self.size = min(self._most, int(self.size * min(1.5, self._target / max(seconds, 1e-6))) + 1)


@dataclass(slots=True)
class Paces:
    """Of one chore: a row that is deleted in the order of the file costs a page or two, at random ten."""

    bit: Pace = field(default_factory=Pace)
    between: Pace = field(default_factory=lambda: Pace(_BETWEEN_MOVES[0], *_BETWEEN_MOVES, target=_MOVE_TARGET))
    """Rows or pages between two moves of the WAL."""


class Upkeep:
    """Does chores on a store by jobs that are queued as any other, with requests served in between.

    A chore's commit does not move the WAL into the file (a checkpoint, sqlite.org/wal.html): it would wait for the disk
    twice with all that the chore has done. That is a job of its own, and the WAL is synced before it by another thread,
    so that only the file is left to wait for.
    """

    def __init__(self, store: Store, queue_up: Callable[[Job], Awaitable[Job]]) -> None:
        self.longest_hold = 0.0
        """Seconds that the longest bit or move took: for so long a request had to wait for it."""
        self._store = store
        self._queue_up = queue_up
        self._paces: dict[Callable[..., int], Paces] = {}
        self._unmoved = 0

    async def do_bit(self, chore: Chore, pace: Callable[..., int] | None = None) -> int:
        """Do a bit of `chore`, as much as takes a few milliseconds; 0 when nothing is left. Raises TierError."""
        paces = self._paces.setdefault(pace or chore, Paces())
        while True:
            size = min(paces.bit.size, paces.between.size)
            try:
                job = await self._queue_up(Job(Kind.CHORE, partial(chore, limit=size)))
                break
            except TierError:
                if size == 1 or not self._store.room.full:
                    raise
                paces.bit.shrink()  # with little room, a small bit may still be possible
        paces.bit.settle(job.result, job.seconds)
        self.longest_hold = max(self.longest_hold, job.seconds)
        self._unmoved += job.result
        if self._unmoved >= paces.between.size:
            done = self._unmoved
            paces.between.settle(done, await self._move())
        return int(job.result)

    async def finish(self) -> None:
        """Move what the chores have left in the WAL, and give back the room that a burst of writes took there."""
        if self._unmoved:
            await self._move()
        job = await self._queue_up(Job(Kind.MOVE, truncate_large_wal))
        self.longest_hold = max(self.longest_hold, job.seconds)

    async def _move(self) -> float:
        """How many seconds it took."""
        self._unmoved = 0
        await trio.to_thread.run_sync(_sync, self._store.wal)
        job = await self._queue_up(Job(Kind.MOVE, Store.move_wal))
        self.longest_hold = max(self.longest_hold, job.seconds)
        return job.seconds


def truncate_large_wal(store: Store) -> None:
    """Cut the WAL, if it is large; outside a transaction."""
    if store.wal.exists() and store.wal.stat().st_size > _WAL_BYTES:
        store.truncate_wal()
        store.measure()


def _sync(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
