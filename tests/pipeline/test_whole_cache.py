"""The cache as a whole, memory over the real file, against a model of what it may ever answer."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import trio
import trio.testing
import trio_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import UpstreamUnavailable
from gateway.pipeline.clock import Clock
from gateway.pipeline.freshness import new_entry
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.metered import Metered
from gateway.pipeline.model import Entry, Loaded, Policy, Request, Status
from gateway.pipeline.pipeline import Pipeline
from gateway.profile.tiers import DiskTier as DiskSection
from gateway.profile.tiers import MemoryTier as MemorySection
from gateway.tiers.disk import open_disk
from gateway.tiers.memory import MemoryTier

KEYS = ("a", "b")
POLICY = Policy("s", ttl=100, stale_while_revalidate=50, stale_if_error=500)
SLACK = 5.0
"""Seconds of tolerance: real time that passes while the test runs, and the clock's own tolerance."""

Operation = tuple[str, object]
operations = st.lists(
    st.one_of(
        st.tuples(st.just("get"), st.sampled_from(KEYS)),
        st.tuples(st.just("get"), st.sampled_from(KEYS)),
        st.tuples(st.just("change"), st.sampled_from(KEYS)),
        st.tuples(st.just("pass"), st.sampled_from([10.0, 90.0, 130.0, 400.0, 700.0])),
        st.tuples(st.just("set clock"), st.sampled_from([-3600.0, -60.0, 60.0, 3600.0])),
        st.tuples(st.just("purge"), st.sampled_from([*KEYS, "all"])),
        st.tuples(st.just("soft purge"), st.sampled_from(KEYS)),
        st.tuples(st.just("upstream"), st.booleans()),
        st.tuples(st.just("restart"), st.just(None)),
        st.tuples(st.just("crash"), st.just(None)),
        st.tuples(st.just("resize"), st.sampled_from([1, 2, 100])),
    ),
    min_size=5,
    max_size=30,
)


@dataclass
class World:
    """What is true: the time, the clock on the wall, and what the upstream says and has said."""

    monotonic: trio.testing.MockClock
    time: float = 1e9
    off: float = 0.0
    up: bool = True
    versions: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KEYS, 0))
    known: dict[bytes, float] = field(default_factory=dict)
    """When each value was last loaded."""
    purged: set[bytes] = field(default_factory=set)
    softly: set[bytes] = field(default_factory=set)

    def value(self, key: str) -> bytes:
        return f"{key}-{self.versions[key]}".encode()

    def wall(self) -> float:
        return self.time + self.off

    async def load(self, key: str, clock: Clock, _stale: Entry | None) -> Loaded:
        await trio.lowlevel.checkpoint()
        if not self.up:
            raise UpstreamUnavailable("u", "down")
        value = self.value(key)
        self.known[value] = self.time
        self.purged.discard(value)
        self.softly.discard(value)
        return Loaded(new_entry(value, POLICY, clock(), tags=(f"tag:{key}",)))


@dataclass
class Cache:
    """A cache that runs."""

    pipeline: Pipeline
    memory: MemoryTier
    clock: Clock
    path: Path


@asynccontextmanager
async def running(world: World, path: Path) -> AsyncIterator[Cache]:
    clock = Clock(world.wall)
    memory = MemoryTier(MemorySection.model_validate({"ttl": "1m"}), clock)
    async with (
        trio_asyncio.open_loop(),
        open_disk(DiskSection(path=str(path)), clock) as disk,
        trio.open_nursery() as services,
    ):
        await services.start(disk.run)
        async with trio.open_nursery() as nursery:
            pipeline = Pipeline(memory, [Metered(disk)], clock, loads=nursery, writes=nursery)
            yield Cache(pipeline, memory, clock, path)
        services.cancel_scope.cancel()


async def get(world: World, cache: Cache, key: str) -> None:
    request = Request(key, POLICY, partial(world.load, key, cache.clock))
    try:
        answer = await cache.pipeline.get(request)
    except UpstreamUnavailable:
        assert not world.up
        return
    value = answer.entry.payload
    assert value.startswith(f"{key}-".encode()), "a foreign value"
    assert value not in world.purged, "a purged value"
    age = world.time - world.known[value]
    limit = {Status.MISS: 0.0, Status.HIT: POLICY.ttl, Status.STALE: POLICY.ttl + POLICY.stale_while_revalidate}
    allowed = limit[answer.status] if world.up else POLICY.ttl + POLICY.stale_if_error
    assert age <= allowed + SLACK, f"{answer.status} from {answer.tier} at the age of {age}"
    if value in world.softly:
        assert not world.up, "a softly purged value while the upstream answers"


async def purge(world: World, cache: Cache, what: str, *, soft: bool) -> None:
    selector = Selector("all") if what == "all" else Selector("tag", f"tag:{what}")
    await cache.pipeline.purge(selector, soft=soft)
    gone = {value for value in world.known if what == "all" or value.startswith(f"{what}-".encode())}
    if soft:
        world.softly |= gone
    else:
        world.purged |= gone


async def act(world: World, cache: Cache, operation: Operation) -> None:
    match operation:
        case ("get", str(key)):
            await get(world, cache, key)
        case ("change", str(key)):
            world.versions[key] += 1
        case ("pass", float(seconds)):
            world.time += seconds
            world.monotonic.jump(seconds)
        case ("set clock", float(seconds)):
            world.off += seconds
        case ("purge", str(what)):
            await purge(world, cache, what, soft=False)
        case ("soft purge", str(what)):
            await purge(world, cache, what, soft=True)
        case ("upstream", bool(up)):
            world.up = up
        case ("resize", int(items)):
            cache.memory.resize(max_size=1_000_000, max_items=items)


async def live(sequence: list[Operation], folder: Path, monotonic: trio.testing.MockClock) -> None:
    """Run the operations; a crash is a copy of the files as they are, and life goes on with the copy."""
    world, lives = World(monotonic), 0
    remaining = list(sequence)
    path = folder / "0.db"
    while remaining:
        lives += 1
        async with running(world, path) as cache:
            while remaining:
                operation = remaining.pop(0)
                if operation[0] == "restart":
                    break
                if operation[0] == "crash":
                    copy = folder / f"{lives}.db"
                    for suffix in ("", "-wal"):
                        if (part := path.with_name(path.name + suffix)).exists():
                            shutil.copy(part, copy.with_name(copy.name + suffix))
                    path = copy
                    break
                await act(world, cache, operation)


@given(operations)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_never_a_wrong_foreign_purged_or_over_stale_value(sequence: list[Operation]) -> None:
    """Whatever happens to it (restarts, crashes, jumps of the clock, purges, resizing), every answer is allowed."""
    with tempfile.TemporaryDirectory() as folder:
        monotonic = trio.testing.MockClock()  # stands still unless a test lets time pass
        trio.run(live, sequence, Path(folder), monotonic, clock=monotonic)
