"""The disk tier's file and the thread that works on it: opened, set aside when damaged, opened again."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import structlog
import trio
from trio_asyncio import aio_as_trio

from gateway.errors import TierError
from gateway.pipeline.clock import Clock
from gateway.tiers.disk_batch import Job, Kind, Worker, do_batch
from gateway.tiers.disk_purges import DamagedLogError, PurgeLog
from gateway.tiers.disk_store import Store
from gateway.tiers.schema import open_file
from gateway.tiers.schema_damage import FAILURES, remove, replace, set_aside, trouble

log = structlog.get_logger(__name__)

_REOPEN_INTERVAL = 10.0
"""Seconds between two attempts to open a file that fails again and again."""


class DiskFile:
    """Does batches of jobs on one file; whatever happens to the file, each job ends with a result or a TierError.

    A file that turns out to be damaged is set aside and a new one is opened: what was in it is a miss from then on. A
    full disk pauses writing. With `existing` the file is left as it is, and damage is an error.
    """

    def __init__(self, store: Store, clock: Clock, *, existing: bool, keep_damaged: int) -> None:
        self.set_aside = 0
        self._store = store
        self._clock = clock
        self._existing = existing
        self.keep_damaged = keep_damaged
        self._worker: Worker | None = None
        self._damage: str | None = None
        self._reopen_at = float("-inf")

    @property
    def is_open(self) -> bool:
        """Whether there is a file to work on; if not, the next batch tries to open one."""
        return self._worker is not None

    async def do(self, kind: Kind, jobs: Sequence[Job]) -> None:
        """Do `jobs`, all of one kind; each has its result or its error then."""
        await self._attempt(kind, jobs, again=True)

    async def open(self) -> Worker:
        """Open the file. Raises TierError."""
        failures: list[TierError] = []
        now = self._clock()

        def connect() -> sqlite3.Connection:
            # This runs in aiosqlite's thread, so nothing of the opening holds up the event loop. It must not raise:
            # then aiosqlite would leave its thread to end by itself, perhaps after the loop that it reports to.
            try:
                return self._connect(now)
            except TierError as error:
                failures.append(error)
            except (DamagedLogError, *FAILURES) as error:
                failures.append(TierError(f"can't use {self._store.path}: {error}"))
            return sqlite3.connect(":memory:")

        worker: Worker = await aio_as_trio(_start)(connect)
        if failures:
            await worker.end()
            raise failures[0]
        self._worker, self._damage = worker, None
        return worker

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._store.path

    async def swap(self, new: Path) -> None:
        """Set the file aside and work on `new`, which takes its place. Raises TierError."""
        await self.close()
        try:
            await trio.to_thread.run_sync(replace, self.path, new, self.keep_damaged)
        except OSError as error:
            raise TierError(f"can't replace {self.path}: {error.strerror or error}") from error
        finally:
            with trio.CancelScope(shield=True):
                await self.open()

    async def close(self) -> None:
        """Close the file; nothing is lost."""
        if self._worker is not None:
            worker, self._worker = self._worker, None
            with trio.CancelScope(shield=True):
                await self._end(worker)

    async def _end(self, worker: Worker) -> None:
        # The last connection deletes the WAL, so the file has to be on the disk by then.
        trusted = True
        try:
            await worker.do(self._store.move.settle)
        except DamagedLogError:
            trusted = False
        await worker.end()
        self._store.move.close()
        if not (trusted or self._existing):
            await trio.to_thread.run_sync(set_aside, self.path, self.keep_damaged)

    def _connect(self, now: float) -> sqlite3.Connection:
        """A connection that the store works on; a file that opens, and that it then can't read, is set aside, too."""
        connection, purges = self._open_file(now, self._damage)
        try:
            self._store.reopen(connection, purges)
        except (DamagedLogError, *FAILURES) as error:
            connection.close()
            if self._existing or (not isinstance(error, DamagedLogError) and trouble(error) != "damaged"):
                raise
            connection, purges = self._open_file(now, str(error))
            self._store.reopen(connection, purges)
        return connection

    def _open_file(self, now: float, damage: str | None) -> tuple[sqlite3.Connection, PurgeLog]:
        return open_file(self._store.path, now, existing=self._existing, damage=damage, keep_damaged=self.keep_damaged)

    async def _attempt(self, kind: Kind, jobs: Sequence[Job], *, again: bool) -> None:
        try:
            worker = self._worker or await self._open_again()
            await worker.do(partial(do_batch, self._store, kind, jobs, self._clock()))
        except TierError as error:
            _fail(jobs, error)
        except (DamagedLogError, *FAILURES) as error:
            await self._recover(kind, jobs, error, again=again)
        else:
            if kind is Kind.CHANGE and any(job.error is None and not job.durable for job in jobs):
                self._store.room.succeeded()

    async def _recover(self, kind: Kind, jobs: Sequence[Job], error: Exception, *, again: bool) -> None:
        """After a failed batch, of which nothing is done: find out whose fault it is, and see that the others work."""
        failure = TierError(f"{self._store.name}: {error}")
        what = "damaged" if isinstance(error, DamagedLogError) else trouble(error)
        if what == "damaged" and not self._existing:
            self._damage = str(error)
            self.set_aside += 1
            await self.close()
        elif what == "full":
            self._store.room.failed(str(error))
            await self._make_room()
        if kind in (Kind.CHORE, Kind.MOVE) or (what == "other" and len(jobs) == 1):
            _fail(jobs, failure)
        elif what != "damaged" and len(jobs) > 1:
            for job in jobs:
                await self._attempt(kind, [job], again=True)
        elif again:
            await self._attempt(kind, jobs, again=False)
        elif what == "full" and jobs[0].durable:
            await self._start_empty(jobs[0], failure)
        else:
            _fail(jobs, failure)

    async def _make_room(self) -> None:
        """Move what is in the WAL into the file, so that the WAL can be written from its beginning."""
        try:
            if self._worker is not None:
                await self._worker.do(self._store.move.truncate)
        except sqlite3.Error as error:
            log.debug("no room for a checkpoint", tier=self._store.name, error=str(error))

    async def _start_empty(self, purge: Job, failure: TierError) -> None:
        """The last resort for a purge on a full disk: delete the file, which needs no room."""
        count = self._store.entries
        await self.close()
        try:
            await trio.to_thread.run_sync(remove, self._store.path)
        except OSError:
            purge.error = failure
            return
        purge.result = count, None
        log.warning("no room to record a purge, cache file deleted", tier=self._store.name, path=str(self._store.path))
        self._reopen_at = float("-inf")

    async def _open_again(self) -> Worker:
        now = self._clock()
        if now < self._reopen_at:
            raise TierError(f"{self._store.name}: the file could not be opened, it is tried again soon")
        self._reopen_at = now + _REOPEN_INTERVAL
        return await self.open()


def _fail(jobs: Sequence[Job], error: TierError) -> None:
    for job in jobs:
        job.error = error


async def _start(connector: Callable[[], sqlite3.Connection]) -> Worker:
    worker = Worker(connector, iter_chunk_size=64)
    await worker
    return worker
