"""Opens what outlives a reload: the pipeline with its tiers, and what is known by it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import trio

from gateway.assembly.collector import open_tracing
from gateway.assembly.nurseries import cancelled_apart, cancelled_at_the_end, finished_at_the_end
from gateway.assembly.parts import Parts
from gateway.assembly.shared import SharedParts, connect, open_shared, require_shared
from gateway.assembly.tiers import Tiers, open_tiers
from gateway.pipeline.clock import Clock
from gateway.pipeline.pipeline import Pipeline, Siblings
from gateway.profile.profile import Profile
from gateway.telemetry.series import Series
from gateway.telemetry.telemetry import Telemetry
from gateway.watch.changes import Changes
from gateway.watch.profiling.cpu import CpuSamples
from gateway.watch.profiling.profiler import StackProfiler
from gateway.watch.scaling.scaled import Scaled


@dataclass(slots=True)
class Core:
    """What one process has once, whatever profile it runs on."""

    environ: Mapping[str, str]
    clock: Clock
    telemetry: Telemetry
    series: Series
    cpu: CpuSamples
    profiler: StackProfiler
    parts: Parts
    tiers: Tiers
    """Those in use."""
    pipeline: Pipeline
    loads: trio.Nursery
    """Where loads run; it is cancelled before what they use is closed."""
    shared: SharedParts | None = None
    """What is shared with other instances."""
    started: float = field(default_factory=time.time)
    """In seconds since the epoch."""
    changes: Changes = field(default_factory=Changes)
    scaled: Scaled = field(default_factory=Scaled)
    releases: dict[str, str] = field(default_factory=dict)
    folders: dict[str, bytes] = field(default_factory=dict)
    """What the watches of upstreams saw last, by the upstream's name."""


@asynccontextmanager
async def open_core(
    profile: Profile, environ: Mapping[str, str], siblings: Siblings | None = None
) -> AsyncIterator[Core]:
    """Tiers and pipeline, of whatever `profile` says of them; `siblings` are who else is to hear of purges.

    Closing cancels the loads under way, waits for what they brought to be written, and closes the tiers, in that order.
    """
    require_shared(profile)
    clock, telemetry = Clock(), Telemetry()
    async with AsyncExitStack() as stack:
        await open_tracing(stack, profile)
        parts = Parts(await stack.enter_async_context(cancelled_at_the_end()))
        core = None
        tiers = await open_tiers(parts, profile.cache, clock, telemetry)
        workers = 1 if siblings is None else profile.server.workers
        try:
            async with (
                open_shared(profile, tiers.disk, clock, telemetry, workers) as shared,
                finished_at_the_end() as writes,
                cancelled_apart() as loads,
            ):
                pipeline = Pipeline(
                    tiers.memory,
                    tiers.lower,
                    clock,
                    loads=loads,
                    writes=writes,
                    absent=tiers.absent,
                    telemetry=telemetry,
                    shared=None if shared is None else shared.leases,
                    siblings=siblings,
                )
                await connect(shared, pipeline)
                series = Series(profile.metrics.history)
                core = Core(
                    environ, clock, telemetry, series, CpuSamples(), StackProfiler(), parts, tiers, pipeline, loads
                )
                core.shared = shared
                yield core
        finally:
            await (tiers if core is None else core.tiers).close()
