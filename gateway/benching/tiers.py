"""The tiers alone: what it costs to get an entry out of memory or the disk tier's file, and to put one in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import cycle
from pathlib import Path

import trio
import trio_asyncio

from gateway.benching.entries import entries
from gateway.benching.iterations import at_once, in_a_row, waited_for
from gateway.benching.model import Iteration, Subject
from gateway.errors import GatewayError
from gateway.pipeline.clock import Clock
from gateway.profile.tiers import DiskTier as DiskSection
from gateway.profile.tiers import MemoryTier as MemorySection
from gateway.tiers.disk import DiskTier, open_disk
from gateway.tiers.memory import MemoryTier

_KEPT = 1000
"""Entries that are there."""
_IN_A_ROW = 100
_AT_ONCE = 16


@asynccontextmanager
async def _memory_get(_: Path) -> AsyncIterator[Iteration]:
    tier = MemoryTier(MemorySection(), clock := Clock())
    kept = entries(_KEPT, clock)
    for key, entry in kept.items():
        tier.put(key, entry)
    keys = cycle(kept)
    yield in_a_row(lambda: tier.get(next(keys)), _IN_A_ROW)


@asynccontextmanager
async def _memory_put(_: Path) -> AsyncIterator[Iteration]:
    tier = MemoryTier(MemorySection(max_items=_KEPT // 2), clock := Clock())
    kept = cycle(entries(_KEPT, clock).items())
    for _number in range(_KEPT):
        tier.put(*next(kept))
    yield in_a_row(lambda: tier.put(*next(kept)), _IN_A_ROW)


@asynccontextmanager
async def _disk(folder: Path) -> AsyncIterator[tuple[DiskTier, Clock]]:
    clock = Clock()
    async with (
        trio_asyncio.open_loop(),
        open_disk(DiskSection(path=str(folder / "cache.db")), clock) as tier,
        trio.open_nursery() as services,
    ):
        await services.start(tier.run)
        yield tier, clock
        services.cancel_scope.cancel()


def _iteration(operation: Callable[[], Awaitable[object]], together: int) -> Iteration:
    return waited_for(operation) if together == 1 else at_once(operation, together)


@asynccontextmanager
async def _disk_get(folder: Path, *, together: int = 1) -> AsyncIterator[Iteration]:
    async with _disk(folder) as (tier, clock):
        kept = entries(_KEPT, clock)
        await tier.put(kept)
        keys = cycle(kept)

        async def get() -> None:
            if await tier.get(next(keys)) is None:
                raise GatewayError("expected the entry that was put, found none")

        yield _iteration(get, together)


@asynccontextmanager
async def _disk_put(folder: Path, *, together: int = 1) -> AsyncIterator[Iteration]:
    async with _disk(folder) as (tier, clock):
        kept = cycle(entries(_KEPT, clock).items())

        async def put() -> None:
            await tier.put(dict([next(kept)]))

        yield _iteration(put, together)


SUBJECTS = (
    Subject("memory.get", "an entry out of the memory tier", _memory_get, _IN_A_ROW),
    Subject("memory.put", "an entry into a full memory tier, which gives up another", _memory_put, _IN_A_ROW),
    Subject("disk.get", "an entry out of the disk tier", _disk_get),
    Subject("disk.get.16", "one of 16 that are got at once", partial(_disk_get, together=_AT_ONCE), _AT_ONCE),
    Subject("disk.put", "an entry into the disk tier, committed", _disk_put),
    Subject("disk.put.16", "one of 16 that are put at once", partial(_disk_put, together=_AT_ONCE), _AT_ONCE),
)
