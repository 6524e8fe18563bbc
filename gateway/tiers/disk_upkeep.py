"""How the janitor's chores are done: in bits that learn their size, with the WAL moved in turns of their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial

import trio

from gateway.errors import TierError
from gateway.tiers.disk_batch import Job, Kind
from gateway.tiers.disk_move import LARGE_WAL
from gateway.tiers.disk_slices import TARGET, Chore
from gateway.tiers.disk_store import Store

_MAX_BIT = 256
"""Rows or pages in one bit at most: each may cost a hundred times what the last ones did."""
_MOVE_TARGET = 0.006
"""Seconds that copying the WAL into the file should take."""
_BETWEEN_MOVES = (32, 2048)
"""Rows or pages between two moves, at least and at most. With less there would be little else than waiting for the
disk, which each move does three times."""


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
    three times with all that the chore has done. The steps of a move are jobs of their own, and other threads do the
    waiting between them (`gateway.tiers.disk_move`). Reads are served meanwhile; writes wait until it is done, and so
    do reads behind a purge.
    """

    def __init__(
        self,
        store: Store,
        queue_up: Callable[[Job], Awaitable[Job]],
        writes_held_back: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.longest_hold = 0.0
        """Seconds that the longest bit or step of a move took: for so long a request had to wait for it."""
        self._store = store
        self._queue_up = queue_up
        self._writes_held_back = writes_held_back
        self._moving = trio.Lock()
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
        wal = self._store.wal
        if self._unmoved or (wal.exists() and wal.stat().st_size > LARGE_WAL):
            await self._move(cut=True)

    async def _move(self, *, cut: bool = False) -> float:
        """How many seconds the copying took."""
        move = self._store.move
        async with self._moving:
            self._unmoved = 0
            await trio.to_thread.run_sync(move.sync_wal)  # most of it, with writes going on
            with self._writes_held_back():
                while not (copied := await self._step(copy_wal)).result:
                    await trio.to_thread.run_sync(move.sync_wal)
                await trio.to_thread.run_sync(move.sync_due)
                await self._step(partial(begin_wal, cut=cut))
                await trio.to_thread.run_sync(move.sync_due)
        return copied.seconds

    async def _step(self, work: Callable[[Store], object]) -> Job:
        job = await self._queue_up(Job(Kind.MOVE, work))
        self.longest_hold = max(self.longest_hold, job.seconds)
        return job


def copy_wal(store: Store) -> bool:
    """Copy what the WAL holds into the file; False when the WAL has to be synced before."""
    return store.move.copy()


def begin_wal(store: Store, *, cut: bool) -> None:
    """Begin the WAL anew, after the file is synced."""
    store.move.begin_anew(cut=cut)
    store.measure()
