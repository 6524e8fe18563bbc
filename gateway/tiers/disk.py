"""L2: entries in an SQLite file that survives restarts."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import aiosqlite
import orjson
import structlog
import trio
from trio_asyncio import aio_as_trio

from gateway.errors import TierError
from gateway.pipeline.clock import Clock
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Entry
from gateway.profile.tiers import DiskTier as DiskSection
from gateway.tiers.codec import Codec, DamagedRowError
from gateway.tiers.schema import open_file

log = structlog.get_logger(__name__)

_MAX_WAITING = 10_000
"""Jobs in the queue; beyond, the disk is too slow to be of use and requests go on without it."""
_INLINE_BYTES = 64_000
"""Payload up to which a batch is encoded on the event loop; a larger one is compressed in a thread."""
_SELECT = "SELECT key, row FROM entries WHERE key IN (SELECT value FROM json_each(?))"
_DELETE_EXPIRED = "DELETE FROM entries WHERE key IN (SELECT key FROM entries WHERE usable_until <= ? LIMIT ?)"
_PURGE = {
    "key": "DELETE FROM entries WHERE key = ?",
    "tag": "DELETE FROM entries WHERE key IN (SELECT key FROM tags WHERE tag = ?)",
    "all": "DELETE FROM entries WHERE ? = ''",
}


@dataclass(eq=False, slots=True)
class _Job:
    """Something for the connection to do, and how it went."""

    reads: Sequence[str] = ()
    writes: Mapping[str, Entry] = field(default_factory=dict)
    change: tuple[str, Sequence[Any]] | None = None
    done: trio.Event = field(default_factory=trio.Event)
    found: Mapping[str, Entry] = field(default_factory=dict)
    count: int = 0
    error: TierError | None = None


class DiskTier:
    """Keeps entries in a file through one connection, in batches.

    Whatever queued while the last batch ran is the next one: all its writes are one transaction, all its reads one
    SELECT. Under load a batch costs little more than a single job, and there is no timer to wait for. Jobs are done in
    the order in which they were queued, which is when `get`, `put` and `purge` are called; reads come after the writes
    of their batch.
    """

    name = "disk"

    def __init__(self, connection: aiosqlite.Connection, section: DiskSection, clock: Clock) -> None:
        self._connection = connection
        self._ttl = section.ttl
        self._clock = clock
        self._codec = Codec(section.compression_threshold, section.compression_gain)
        self._queue: list[_Job] = []
        self._queued = trio.Event()
        self.damaged = 0
        """Rows that did not decode, and were deleted."""

    async def get(self, key: str) -> Entry | None:
        """The entry of `key`, fresh or stale; None also for a damaged one, which is deleted and counted."""
        job = await self._do(_Job(reads=(key,)))
        return job.found.get(key)

    async def put(self, entries: Mapping[str, Entry]) -> None:
        """Keep `entries`, all or none; returns when they are committed. Raises TierError when they are not."""
        await self._do(_Job(writes=entries))

    async def purge(self, selector: Selector, *, soft: bool = False) -> int:
        """Delete the selected entries; returns how many, once that is committed."""
        return (await self._do(_Job(change=(_PURGE[selector.kind], (selector.value,))))).count

    async def delete_expired(self, limit: int) -> int:
        """Delete up to `limit` entries that nobody may use any more; how many there were."""
        return (await self._do(_Job(change=(_DELETE_EXPIRED, (self._clock(), limit))))).count

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Do the queued jobs, batch by batch, until cancelled; a batch that has begun is finished first."""
        task_status.started()
        while True:
            await self._queued.wait()
            self._queued = trio.Event()
            batch, self._queue = self._queue, []
            with trio.CancelScope(shield=True):
                await self._work_off(batch)

    async def _do(self, job: _Job) -> _Job:
        if len(self._queue) >= _MAX_WAITING:
            await trio.lowlevel.checkpoint()
            raise TierError(f"{_MAX_WAITING} operations are waiting for the disk")
        self._queue.append(job)
        self._queued.set()
        await job.done.wait()
        if job.error is not None:
            raise job.error
        return job

    async def _work_off(self, batch: Sequence[_Job]) -> None:
        await self._attempt([job for job in batch if not job.reads], self._commit)
        await self._attempt([job for job in batch if job.reads], self._read)
        for job in batch:
            job.done.set()

    async def _attempt(self, jobs: Sequence[_Job], work: Callable[[Sequence[_Job]], Any]) -> None:
        if not jobs:
            return
        try:
            await work(jobs)
        except (sqlite3.Error, ValueError) as error:
            failure = TierError(f"{self.name}: {error}")
            for job in jobs:
                job.error = failure

    async def _commit(self, jobs: Sequence[_Job]) -> None:
        """All changes of `jobs`, in their order, in one transaction."""
        await self._execute("BEGIN IMMEDIATE")
        try:
            for job in jobs:
                if job.change is not None:
                    job.count = await self._execute(*job.change)
                else:
                    await self._insert(job.writes)
            await self._execute("COMMIT")
        except BaseException:
            await self._execute("ROLLBACK")
            raise

    async def _insert(self, entries: Mapping[str, Entry]) -> None:
        now = self._clock()
        encode = partial(_rows, self._codec, entries, now, now + self._ttl)
        heavy = sum(len(entry.payload) for entry in entries.values()) > _INLINE_BYTES
        rows = await trio.to_thread.run_sync(encode) if heavy else encode()
        sql = "INSERT OR REPLACE INTO entries (key, tags, priority, used_at, usable_until, row) VALUES (?,?,?,?,?,?)"
        await aio_as_trio(self._connection.executemany)(sql, rows)

    async def _read(self, jobs: Sequence[_Job]) -> None:
        keys = orjson.dumps(list({key for job in jobs for key in job.reads})).decode()
        found: dict[str, Entry] = {}
        for key, row in await aio_as_trio(self._connection.execute_fetchall)(_SELECT, (keys,)):
            entry = self._decode(key, row)
            if entry is not None:
                found[key] = entry
        for job in jobs:
            job.found = found

    def _decode(self, key: str, row: bytes) -> Entry | None:
        try:
            return self._codec.decode(key, row)
        except DamagedRowError as error:
            self.damaged += 1
            log.warning("damaged cache entry deleted", tier=self.name, key=key, problem=str(error))
            self._queue.append(_Job(change=(_PURGE["key"], (key,))))
            self._queued.set()
            return None

    async def _execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        cursor = await aio_as_trio(self._connection.execute)(sql, parameters)
        return int(cursor.rowcount)


def _rows(codec: Codec, entries: Mapping[str, Entry], now: float, limit: float) -> list[tuple[Any, ...]]:
    rows = []
    for key, entry in entries.items():
        kept = entry.fresh_at_most_until(limit)
        tags = orjson.dumps(kept.tags).decode()
        rows.append((key, tags, kept.priority, now, kept.usable_until, codec.encode(key, kept)))
    return rows


@asynccontextmanager
async def open_disk(section: DiskSection, clock: Clock) -> AsyncIterator[DiskTier]:
    """The disk tier on `section.path`; its `run` is to be started by the caller, inside `trio_asyncio.open_loop()`.

    A damaged or foreign file is set aside and a new one is made. Raises TierError when the folder can't be written or
    another process has the file: there can be only one.
    """
    failures: list[TierError] = []

    def connect() -> sqlite3.Connection:
        # This runs in aiosqlite's thread, so nothing of the opening holds up the event loop. It must not raise: then
        # aiosqlite would leave its thread to end by itself, perhaps after the event loop that it reports to.
        try:
            return open_file(section.path, now)
        except TierError as error:
            failures.append(error)
            return sqlite3.connect(":memory:")

    now = clock()
    connection = await aio_as_trio(_connect)(connect)
    try:
        if failures:
            raise failures[0]
        yield DiskTier(connection, section, clock)
    finally:
        with trio.CancelScope(shield=True):
            await aio_as_trio(connection.close)()


async def _connect(connector: Callable[[], sqlite3.Connection]) -> aiosqlite.Connection:
    return await aiosqlite.Connection(connector, iter_chunk_size=64)
