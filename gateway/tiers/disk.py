"""L2: entries in an SQLite file that survives restarts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
import trio
import trio_asyncio

from gateway.errors import TierError
from gateway.pipeline.clock import Clock
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Entry
from gateway.profile.tiers import DiskTier as DiskSection
from gateway.tiers.codec import Codec
from gateway.tiers.curve import Curve
from gateway.tiers.disk_batch import Job, Kind, parted
from gateway.tiers.disk_entries import purge, put, read
from gateway.tiers.disk_file import DiskFile
from gateway.tiers.disk_known import KnownKeys, keys_after
from gateway.tiers.disk_queue import JobQueue
from gateway.tiers.disk_slices import Chore
from gateway.tiers.disk_store import Store
from gateway.tiers.disk_sweep import Sweep
from gateway.tiers.disk_upkeep import Upkeep
from gateway.tiers.disk_watched import WatchedDisk

log = structlog.get_logger(__name__)

_KEYS_AT_ONCE = 1000
"""Keys that are read at once where all are learnt: a millisecond."""


@dataclass(frozen=True, slots=True)
class DiskStatistics:
    """How the disk tier is; counters count since the start."""

    entries: int
    """Rows in the file, with those that are purged or expired and not yet deleted."""
    bytes_used: int
    """What the pages in use take; the limit is about this."""
    file_bytes: int
    """What the file and its WAL take, free pages included."""
    purges: int
    """Purges that are remembered, since what they are about could still be there."""
    damaged: int
    """Rows that did not decode, and were deleted."""
    set_aside: int
    """Files that were damaged while they were in use."""
    evicted: int
    expired: int
    longest_hold_ms: float
    """The longest bit of the janitor's work, or step of moving the WAL: for so long a request had to wait for it."""
    pending: int
    """Operations that wait for the disk."""
    given_up: int
    """Writes that were not even tried, since too much was waiting already."""
    full: bool
    """There is no room on the disk, nothing more is written."""


class DiskTier:
    """Keeps entries in a file through one connection, in batches.

    Whatever queued while the last batch ran is the next one: all its changes are one transaction and one hop to the
    connection's thread, and so are all its reads. Under load a batch costs little more than a single job, and there is
    no timer to wait for. Jobs are done in the order in which they were queued, which is when `get`, `put` and `purge`
    are called; reads come after the changes of their batch, and the janitor's chores come last. Only while the WAL is
    moved do reads go ahead of writes, and never of a purge.

    `gateway.tiers.disk_file` sees to it that neither a damaged file nor a full disk stops this.
    """

    name = "disk"

    def __init__(self, section: DiskSection, clock: Clock, pool_size: int, *, existing: bool = False) -> None:
        self.clock = clock
        path = section.file
        self._packing = section.compression_threshold, section.compression_gain, pool_size
        self._said = section.max_size
        self._store = Store(path, Codec(*self._packing), ttl=section.ttl, max_size=section.max_size)
        self.file = DiskFile(self._store, clock, existing=existing, keep_damaged=section.keep_damaged)
        self._queue = JobQueue()
        self._untidy = trio.Event()
        self._upkeep = Upkeep(self._store, self._queue_up, self._queue.writes_held_back)
        self._watched = WatchedDisk(section.max_size) if section.curve else None
        self._known = KnownKeys()

    @property
    def damaged(self) -> int:
        """Rows that did not decode, and were deleted."""
        return self._store.counters.damaged

    def statistics(self) -> DiskStatistics:
        """How the tier is, as of the last batch."""
        store = self._store
        return DiskStatistics(
            entries=store.entries,
            bytes_used=store.bytes_used,
            file_bytes=store.file_bytes,
            purges=len(store.purges.records) if self.file.is_open else 0,
            damaged=store.counters.damaged,
            set_aside=self.file.set_aside,
            evicted=store.counters.evicted,
            expired=store.counters.expired,
            longest_hold_ms=self._upkeep.longest_hold * 1000,
            pending=len(self._queue),
            given_up=self._queue.given_up,
            full=store.room.full,
        )

    @property
    def max_size(self) -> int:
        """The most bytes that the entries may take at present."""
        return self._store.max_size

    def adjust(self, section: DiskSection, pool_size: int) -> None:
        """Take what another section of the same path says anew while in use; a limit that `resize` set stays."""
        store = self._store
        if (section.compression_threshold, section.compression_gain, pool_size) != self._packing:
            store.codec = Codec(section.compression_threshold, section.compression_gain, pool_size)
            self._packing = section.compression_threshold, section.compression_gain, pool_size
        self.file.keep_damaged = section.keep_damaged
        store.ttl = section.ttl
        if self._watched is None or not section.curve:
            self._watched = WatchedDisk(store.max_size) if section.curve else None
        if section.max_size != self._said:
            self._said = section.max_size
            self.resize(section.max_size)

    def resize(self, max_size: int) -> None:
        """Take another limit while in use; the janitor sees to what is too much."""
        if self._watched is not None:
            self._watched.resize(max_size)
        self._store.max_size = max_size

    async def get(self, key: str) -> Entry | None:
        """The entry of `key`, fresh or stale; None also for a damaged one, which is deleted and counted."""
        sizes: dict[str, int] = {}
        entry: Entry | None = None
        if self._known.may_have(key):
            found = await self.do(Kind.READ, partial(read, keys=(key,), sizes=sizes))
            entry = found.get(key)
        else:
            await trio.lowlevel.checkpoint()
        if self._watched is not None:
            self._watched.read(key, entry, sizes.get(key, 0), self.clock())
        return entry

    async def put(self, entries: Mapping[str, Entry]) -> None:
        """Keep `entries`, all or none; returns when they are committed. Raises TierError when they are not.

        They are given up at once when too much waits for the disk already.
        """
        weight = sum(len(entry.payload) for entry in entries.values())
        self.expect(entries)
        job = await self._queue_up(Job(Kind.CHANGE, partial(put, entries=entries), weight=weight))
        if self._watched is not None:
            self._watched.wrote(entries, job.result, self.clock(), self._store.ttl)

    def expect(self, keys: Collection[str]) -> None:
        """Look for these keys from now on: whoever puts entries by a job of his own says so before."""
        self._known.add(keys)

    async def learn_keys(self) -> None:
        """Read which keys there are, a thousand at a time, where that is not known well enough. Raises TierError."""
        if not self._known.due:
            return
        with self._known.learning(self._store.entries) as learning:
            # What was queued before is in no filter, but in the file by then.
            await self.do(Kind.CHORE, lambda _: None)
            after = b""
            learning.add("")
            while keys := await self.do(Kind.READ, partial(keys_after, after=after, limit=_KEYS_AT_ONCE)):
                if keys[-1] <= after:
                    return  # the index of keys is damaged, and nobody knows what else there is
                for key in keys:
                    learning.add(key.decode("utf-8", "replace"))
                after = keys[-1]
            self._known.use(learning)

    async def purge(self, selector: Selector, *, soft: bool = False) -> int:
        """Forget the selected entries, or only make them stale; how many there were.

        What was put before this was called is gone when this returns, and stays so: the purge is committed with
        `synchronous=FULL`, so it survives a kill and a power loss. The rows are deleted after that, bit by bit, with
        requests served in between; until then each read of them finds the purge in the log. Those of "all" are left to
        the janitor, and how many there were does not count twice what an earlier "all" has left to it.

        On a full disk, where nothing can be committed, the whole file is deleted and made anew. Raises TierError when
        that fails too: nothing is purged then. Cancelling does not undo the purge.
        """

        def record(store: Store) -> tuple[int, Sweep | None]:
            count, left = purge(store, selector, soft=soft)
            if left is None:
                return count, None
            return count, store.sweeps.setdefault(left.generation, Sweep(left))  # type: ignore[return-value]

        count, sweep = await self.do(Kind.CHANGE, record, durable=True)
        if self._watched is not None and not soft:
            self._watched.purged(selector)
        try:
            while sweep is not None and await self.chore(sweep, pace=Sweep.__call__):
                pass
        except TierError as error:
            log.warning("purged, rows are deleted later", tier=self.name, error=str(error))
        return int(count if sweep is None else sweep.count)

    def curve(self) -> Curve | None:
        """The hit rate at other sizes, by the requests so far, which are the misses of the tier before this one.

        None where the profile turned that off.
        """
        return None if self._watched is None else self._watched.recorder.curve(self.clock())

    async def chore(self, chore: Chore, pace: Callable[..., int] | None = None) -> int:
        """Do a bit of `chore`, as much as takes a few milliseconds; 0 when nothing is left to do."""
        return await self._upkeep.do_bit(chore, pace)

    async def finish_chores(self) -> None:
        """Leave the WAL small, after chores and bursts of writes."""
        await self._upkeep.finish()

    async def wait_untidy(self) -> None:
        """Return when there is something for the janitor that should not wait for its next round."""
        await self._untidy.wait()

    async def do(self, kind: Kind, work: Callable[[Store], Any], *, durable: bool = False) -> Any:
        """What `work` returns, done in its turn. Raises TierError."""
        return (await self._queue_up(Job(kind, work, durable))).result

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Do the queued jobs, batch by batch, until cancelled; a batch that has begun is finished first."""
        task_status.started()
        while True:
            batch = await self._queue.take()
            with trio.CancelScope(shield=True):
                for kind, jobs in parted(batch):
                    await self._work_off(kind, jobs)
            self._look_around()

    async def _work_off(self, kind: Kind, jobs: Sequence[Job]) -> None:
        try:
            await self.file.do(kind, jobs)
        except Exception as error:  # a mistake of ours: it must end neither the gateway nor the wait of these callers
            log.exception("cache tier failed", tier=self.name)
            for job in jobs:
                job.error = TierError(f"{self.name}: {type(error).__name__}: {error}")
        for job in jobs:
            self._queue.settle(job)

    async def _queue_up(self, job: Job) -> Job:
        try:
            self._queue.append(job)
        except TierError:
            await trio.lowlevel.checkpoint()
            raise
        await job.done.wait()
        if job.error is not None:
            raise job.error
        return job

    def _look_around(self) -> None:
        if not self.file.is_open or not self._store.untidy:
            return
        self._untidy.set()
        self._untidy = trio.Event()


@asynccontextmanager
async def open_disk(
    section: DiskSection, clock: Clock, pool_size: int = 50, *, existing: bool = False
) -> AsyncIterator[DiskTier]:
    """The disk tier on `section.path`; its `run` is to be started by the caller, inside `trio_asyncio.open_loop()`.

    A damaged or foreign file is set aside and a new one is made; with `existing`, which is for commands on a file that
    no gateway has open, that is an error. Raises TierError also when the folder can't be written or another process has
    the file: there can be only one.
    """
    disk = DiskTier(section, clock, pool_size, existing=existing)
    await disk.file.open()
    try:
        yield disk
    finally:
        await disk.file.close()


@asynccontextmanager
async def open_file_alone(path: str, clock: Clock | None = None, *, keep_damaged: int = 3) -> AsyncIterator[DiskTier]:
    """The disk tier on an existing file at work, without a gateway around it: for commands. Raises TierError."""
    section = DiskSection(path=path, keep_damaged=keep_damaged)
    async with (
        trio_asyncio.open_loop(),
        open_disk(section, clock or Clock(), existing=True) as disk,
        trio.open_nursery() as services,
    ):
        await services.start(disk.run)
        yield disk
        services.cancel_scope.cancel()
