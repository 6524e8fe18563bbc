"""Instances in this process: a pipeline each, with memory and the shared tier, on one engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from gateway.pipeline.clock import Clock
from gateway.pipeline.metered import Metered
from gateway.pipeline.model import Entry, Loaded, Policy, Request
from gateway.pipeline.pipeline import Pipeline
from gateway.profile.shared import SharedTier as SharedSection
from gateway.profile.tiers import MemoryTier as MemorySection
from gateway.telemetry.telemetry import Telemetry
from gateway.tiers.memory import MemoryTier
from gateway.tiers.shared.leases import Leases
from gateway.tiers.shared.tier import SharedTier
from tests.fakes.engine import Engine

POLICY = Policy("s", ttl=3600.0, tiers=frozenset({"memory", "shared"}))
PATIENCE = 20.0


@dataclass
class Instance:
    """One gateway's worth of pipeline; what a key is worth is for `source` to say."""

    tier: SharedTier
    metered: Metered
    pipeline: Pipeline
    telemetry: Telemetry
    source: Callable[[str], Awaitable[bytes]]
    tasks: trio.Nursery
    tags: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def stop(self) -> None:
        """Cancel the loads under way, as an instance that closes does."""
        self.tasks.cancel_scope.cancel()

    async def ask(self, key: str, *, asks: bool = True, shareable: bool = True) -> bytes:
        """What the pipeline answers."""

        async def load(_stale: Entry | None) -> Loaded:
            now = self.pipeline.clock()
            payload = await self.source(key)
            return Loaded(Entry(payload, now, now + 3600, tags=self.tags.get(key, (f"tag:{key}",))))

        return (await self.pipeline.get(Request(key, POLICY, load, shareable, asks))).entry.payload

    async def wait_up(self) -> None:
        with trio.fail_after(PATIENCE):
            await self.tier.link.wait_up()


def section(engine: Engine, **about: Any) -> SharedSection:
    return SharedSection(**{"enabled": True, "url": engine.url, "timeout": "5s", **about})


async def nothing(key: str) -> bytes:
    return key.encode()


@asynccontextmanager
async def instance(
    about: SharedSection,
    source: Callable[[str], Awaitable[bytes]] = nothing,
    *,
    known: Path | None = None,
    local: tuple[str, ...] = (),
) -> AsyncIterator[Instance]:
    """An instance that has tried to connect."""
    clock, telemetry = Clock(), Telemetry()
    async with trio.open_nursery() as services:
        tier = SharedTier(about, clock, 5, telemetry, known=known, local=local)
        metered = Metered(tier, telemetry)
        async with trio.open_nursery() as tasks:  # ends before the services, as in the assembly
            leases = Leases(tier, metered, telemetry.leases, tasks)
            pipeline = Pipeline(MemoryTier(MemorySection(), clock), [], clock, loads=tasks, writes=tasks, shared=leases)
            tier.purging.apply = pipeline.purged_elsewhere
            await services.start(tier.run)
            yield Instance(tier, metered, pipeline, telemetry, source, tasks)
            tasks.cancel_scope.cancel()
        services.cancel_scope.cancel()
