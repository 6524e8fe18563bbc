"""A whole gateway in this process: hits, misses over a loopback upstream, batches, purges."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from time import perf_counter

from gateway.benching.entries import entry_of, key_of
from gateway.benching.iterations import at_once, waited_for
from gateway.benching.model import Iteration, Subject
from gateway.benching.surroundings import BATCH, called, open_own_gateway
from gateway.benching.upstream import open_upstream
from gateway.errors import GatewayError
from gateway.pipeline.invalidation import Selector

_PURGED = 16
"""Entries that a purge removes, from memory and from disk."""


@asynccontextmanager
async def _hit(folder: Path) -> AsyncIterator[Iteration]:
    async with open_own_gateway(folder) as gateway:
        await called(gateway, "read_file", "button")
        yield waited_for(lambda: called(gateway, "read_file", "button"))


@asynccontextmanager
async def _miss(folder: Path) -> AsyncIterator[Iteration]:
    names = (f"component-{number}" for number in count())
    async with open_upstream() as url, open_own_gateway(folder, url) as gateway:
        yield waited_for(lambda: called(gateway, "read_page", next(names)))


@asynccontextmanager
async def _batch(folder: Path) -> AsyncIterator[Iteration]:
    names = (f"component-{number}" for number in count())
    async with open_upstream() as url, open_own_gateway(folder, url) as gateway:
        yield at_once(lambda: called(gateway, "read_one_of_many", next(names)), BATCH)


@asynccontextmanager
async def _purge(folder: Path) -> AsyncIterator[Iteration]:
    async with open_own_gateway(folder) as gateway:
        memory, disk, clock = gateway.memory, gateway.disk, gateway.pipeline.clock
        if memory is None or disk is None:
            raise GatewayError("expected a memory and a disk tier to purge, found only one: the log says why")
        tagged = {key_of(number): entry_of(number, clock, "purged") for number in range(_PURGED)}
        selector = Selector("tag", "purged")

        async def iterate() -> float:
            for key, entry in tagged.items():
                memory.put(key, entry)
            await disk.put(tagged)
            began = perf_counter()
            removed = await gateway.pipeline.purge(selector)
            took = perf_counter() - began
            if removed != 2 * _PURGED:
                raise GatewayError(
                    f"expected a purge of {_PURGED} entries in each of two tiers, found {removed} purged"
                )
            return took

        yield iterate


SUBJECTS = (
    Subject("hit.process", "a call that memory answers, in this process", _hit),
    Subject("miss.http", "a call that an upstream on loopback answers; it is kept in both tiers", _miss, share=5),
    Subject("batch", f"the same, {BATCH} calls at once in one request", _batch, BATCH, share=10),
    Subject("purge.tag", f"a tag purged, {_PURGED} entries in memory and on disk; durable", _purge, share=5),
)
