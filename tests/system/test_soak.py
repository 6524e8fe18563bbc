"""Nothing grows: many different calls through a small cache leave no more behind than fewer of them did."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing
import trio_asyncio

from gateway.catalogue.catalogue import Catalogue
from gateway.pipeline.clock import Clock
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.metered import Metered
from gateway.pipeline.pipeline import Pipeline
from gateway.tiers.disk import open_disk
from gateway.tiers.memory import MemoryTier
from gateway.watch.janitor import Janitor
from tests.catalogue.rig import profile_of
from tests.fakes.upstream import FakeUpstream

PROFILE = """
[cache.disk]
max_size = "1MB"
[strategies.mine]
ttl = "1m"
scope = "private"
negative = { not_found = "1m" }
[tools.t]
description = "A thing."
strategy = "mine"
tags = ["thing:{name}"]
[tools.t.input.properties]
name = { type = "string" }
[tools.t.fetch]
upstream = "api"
path = "things/{name}"
"""


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[Catalogue, Pipeline, MemoryTier, FakeUpstream]]:
    """A catalogue over memory and the real file, both much too small for what is asked."""
    profile = profile_of(folder, PROFILE)
    clock = Clock()
    memory = MemoryTier(profile.cache.memory.model_copy(update={"max_items": 300, "algorithm": "adaptive"}), clock)
    section = profile.cache.disk.model_copy(update={"path": str(folder / "cache.db")})
    async with (
        trio_asyncio.open_loop(),
        open_disk(section, clock) as disk,
        trio.open_nursery() as services,
    ):
        await services.start(disk.run)
        await services.start(Janitor(disk, 60).run)
        async with trio.open_nursery() as nursery:
            pipeline = Pipeline(memory, [Metered(disk)], clock, loads=nursery, writes=nursery)
            api = FakeUpstream(otherwise=b'{"a":"%s"}' % (b"x" * 500))
            yield Catalogue(profile, pipeline, {"api": api}), pipeline, memory, api
            nursery.cancel_scope.cancel()
        services.cancel_scope.cancel()


@pytest.mark.timeout(420)
async def test_soak(tmp_path: Path) -> None:
    """After two thousand calls, four thousand more leave neither objects nor descriptors nor bytes on disk behind."""
    async with running(tmp_path) as (catalogue, pipeline, memory, api):

        async def calls(first: int, count: int) -> None:
            for number in range(first, first + count):
                await catalogue.call("t", {"name": f"n{number}"}, caller=f"c{number % 50}")
                await catalogue.call("t", {"name": f"n{number - 5}"}, caller=f"c{number % 50}")
                if number % 100 == 0:
                    await pipeline.purge(Selector("tag", f"thing:n{number}"), soft=number % 200 == 0)

        def state() -> tuple[int, int, int]:
            api.asked.clear()  # the fake's own memory
            api.conditions.clear()
            gc.collect()
            bytes_on_disk = sum(file.stat().st_size for file in tmp_path.glob("cache.db*"))
            return len(gc.get_objects()), len(list(Path("/proc/self/fd").iterdir())), bytes_on_disk

        await calls(0, 2000)
        objects, descriptors, on_disk = state()
        await calls(2000, 4000)
        await trio.testing.wait_all_tasks_blocked(0.1)
        more_objects, more_descriptors, more_on_disk = state()
        assert len(memory) == 300
        assert more_objects < objects * 1.01 + 200
        assert more_descriptors <= descriptors
        assert more_on_disk < max(on_disk, 1_000_000) * 2
