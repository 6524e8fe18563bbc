"""Jobs for the disk tier's connection, and how a batch of them is done: in the connection's own thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

import aiosqlite
import trio
from trio_asyncio import aio_as_trio

from gateway.errors import TierError
from gateway.tiers.disk_store import Store

T = TypeVar("T")


_MAX_WEIGHT = 4_000_000
"""Bytes written in one transaction: the WAL holds it first, and must stay below what is left free on a disk."""


class Kind(Enum):
    """What a job does; a batch is done in this order, so that reads see its changes and never wait for its chores."""

    CHANGE = "change"
    """All changes of a batch are one transaction."""
    READ = "read"
    CHORE = "chore"
    """A bit of the janitor's work: a transaction of its own."""
    MOVE = "move"
    """A step of moving the WAL into the file, outside a transaction."""


@dataclass(eq=False, slots=True)
class Job:
    """Something for the connection to do, and how it went."""

    kind: Kind
    work: Callable[[Store], Any]
    """Raises TierError to fail alone, before it has changed anything."""
    durable: bool = False
    """A purge: it has to survive a power loss, and has to be possible on a full disk."""
    weight: int = 0
    """Bytes that it writes, about."""
    done: trio.Event = field(default_factory=trio.Event)
    result: Any = None
    seconds: float = 0.0
    error: TierError | None = None


class Worker(aiosqlite.Connection):
    """A connection with its thread, in which a whole batch is one call: each call costs a hop of about 0.2 ms."""

    async def do(self, work: Callable[[], T]) -> T:
        """What `work` returns, called in the connection's thread."""
        result: T = await aio_as_trio(self._execute)(work)
        return result

    async def end(self) -> None:
        """Close the connection and end its thread."""
        await aio_as_trio(self.close)()


def parted(batch: Iterable[Job]) -> Iterator[tuple[Kind, Sequence[Job]]]:
    """The jobs of a batch in the order in which they are done, with changes in transactions of a bounded size."""
    by_kind: dict[Kind, list[Job]] = {kind: [] for kind in Kind}
    weight = 0
    for job in batch:
        if job.weight and by_kind[job.kind] and weight + job.weight > _MAX_WEIGHT:
            yield job.kind, by_kind[job.kind]
            by_kind[job.kind], weight = [], 0
        by_kind[job.kind].append(job)
        weight += job.weight
    yield from ((kind, jobs) for kind, jobs in by_kind.items() if jobs)


def do_batch(store: Store, kind: Kind, jobs: Sequence[Job], now: float) -> None:
    """Do `jobs`, all of one kind. When this raises, nothing of them is done."""
    store.now = now
    match kind:
        case Kind.READ:
            for job in jobs:
                job.result = job.work(store)
        case Kind.CHANGE:
            _transaction(store, jobs)
        case Kind.CHORE:
            for job in jobs:
                begin = time.perf_counter()
                _transaction(store, [job])
                job.seconds = time.perf_counter() - begin
        case Kind.MOVE:
            for job in jobs:
                begin = time.perf_counter()
                job.result = job.work(store)
                job.seconds = time.perf_counter() - begin


def _transaction(store: Store, jobs: Sequence[Job]) -> None:
    store.begin(durable=any(job.durable for job in jobs), chore=jobs[0].kind is Kind.CHORE)
    try:
        for job in jobs:
            try:
                job.result = job.work(store)
            except TierError as error:
                job.error = error
        store.commit()
    except BaseException:
        store.roll_back()
        raise
