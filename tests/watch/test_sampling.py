from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from gateway.errors import UpstreamUnavailable
from gateway.pipeline.clock import Clock
from gateway.pipeline.freshness import new_entry
from gateway.pipeline.metered import Metered
from gateway.pipeline.model import Policy
from gateway.profile.tiers import MemoryTier as MemorySection
from gateway.profile.upstreams.policies import Politeness
from gateway.telemetry.series import Sample, Series
from gateway.telemetry.telemetry import Telemetry
from gateway.tiers.memory import MemoryTier
from gateway.upstream.policies import Policies
from gateway.watch.gauges import Gauges
from gateway.watch.sampling import Sampler
from tests.tiers.rig import opened


class Rig:
    def __init__(self) -> None:
        self.clock = Clock(lambda: 1000.0)
        self.telemetry = Telemetry()
        self.memory = MemoryTier(MemorySection(max_items=2), self.clock)
        self.policies = Policies("api", Politeness(retries=0))
        self.gauges = Gauges(self.memory, None, [], {"api": [self.policies], "files": []})
        self.series = Series(3600)
        self.sampler = Sampler(self.telemetry, self.gauges, self.series, 5.0, self.clock)

    def requested(self, outcome: str, seconds: float = 0.1, kind: str = "tool") -> None:
        self.telemetry.requests.of(kind, "props", "s", "", outcome).record(seconds)

    async def next(self) -> Sample:
        """The sample that is taken next."""
        await trio.sleep(5)
        sample = self.series.window(1).last
        assert sample is not None
        return sample


@asynccontextmanager
async def sampling() -> AsyncIterator[Rig]:
    """A sampler that runs; the block is half an interval behind it."""
    rig = Rig()
    async with trio.open_nursery() as nursery:
        await nursery.start(rig.sampler.run)
        await trio.sleep(2.5)
        yield rig
        nursery.cancel_scope.cancel()


async def test_a_sample_every_interval(autojump_clock: trio.testing.MockClock) -> None:
    """Each says when it was taken, and of how long it is."""
    async with sampling() as rig:
        await trio.sleep(20)
        assert [(each.at, each.seconds) for each in rig.series] == [(1000.0 + 5 * n, 5.0) for n in range(1, 5)]


async def test_a_sample_is_of_its_time_alone(autojump_clock: trio.testing.MockClock) -> None:
    """What happened before it is in an earlier one, and in no later one."""
    async with sampling() as rig:
        rig.requested("hit")
        rig.requested("hit")
        rig.requested("failed", 2.0)
        first = await rig.next()
        rig.requested("hit")
        second, third = await rig.next(), await rig.next()
    assert (first.outcomes, first.requests.count) == ({"hit": 2, "failed": 1}, 3)
    assert (second.outcomes, second.requests.count) == ({"hit": 1}, 1)
    assert (third.outcomes, third.requests.count) == ({}, 0)


async def test_lists_do_not_count(autojump_clock: trio.testing.MockClock) -> None:
    """They are answered from the profile; resources, prompts and completions count as tools do."""
    async with sampling() as rig:
        for kind in ("tool", "resource", "prompt", "completion", "list"):
            rig.requested("passed", kind=kind)
        sample = await rig.next()
    assert sample.outcomes == {"passed": 4}


async def test_the_memory_tier(autojump_clock: trio.testing.MockClock) -> None:
    """Reads and evictions are of that time, entries and sizes are as they stand."""
    async with sampling() as rig:
        for key in "abc":
            rig.memory.put(key, new_entry(b"x", Policy("s", ttl=100), rig.clock()))
        rig.memory.get("c")
        rig.memory.get("nothing")
        first, second = (await rig.next()).tiers["memory"], (await rig.next()).tiers["memory"]
    assert (first.hits, first.misses, first.evictions, first.entries) == (1, 1, 1, 2)
    assert (second.hits, second.misses, second.evictions, second.entries) == (0, 0, 0, 2)
    assert (second.size, second.limit) == (first.size, MemorySection().max_size)


async def test_upstreams(autojump_clock: trio.testing.MockClock) -> None:
    """How questions ended and took, what was sent for them, and what is under way."""

    async def failing() -> None:
        raise UpstreamUnavailable("api", "down")

    async with sampling() as rig, trio.open_nursery() as nursery:
        nursery.start_soon(lambda: rig.policies.ask(trio.sleep_forever, idempotent=True))
        with pytest.raises(UpstreamUnavailable), rig.telemetry.asking("api"):
            await rig.policies.ask(failing, idempotent=True)
        with rig.telemetry.asking("files"):
            await trio.sleep(1)
        first, second = (await rig.next()).upstreams, (await rig.next()).upstreams
        nursery.cancel_scope.cancel()
    assert (first["api"].outcomes, first["api"].requests, first["api"].under_way) == ({"unavailable": 1}, 2, 1)
    assert first["files"].outcomes == {"answered": 1}
    assert (second["api"].outcomes, second["api"].requests, second["api"].under_way) == ({}, 0, 1)


async def test_a_late_sample_is_as_long_as_it_is(mock_clock: trio.testing.MockClock) -> None:
    """A loop that was blocked for long gets one sample of that time, not several of none; then it is back in step."""
    rig = Rig()
    async with trio.open_nursery() as nursery:
        await nursery.start(rig.sampler.run)
        for seconds in (23, 2.5, 5):
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(seconds)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert [each.seconds for each in rig.series] == [23, 2.5, 5]


async def test_the_longest_lag_is_of_that_time(autojump_clock: trio.testing.MockClock) -> None:
    """Within its bucket."""
    async with sampling() as rig:
        rig.telemetry.lag.of().record(3.0)
        first = await rig.next()
        rig.telemetry.lag.of().record(0.1)
        second = await rig.next()
    assert first.process.lag == pytest.approx(3.0, rel=0.15)
    assert second.process.lag == pytest.approx(0.1, rel=0.15)


async def test_the_process_and_the_disk(tmp_path: Path) -> None:
    """Of a real process with a real file: numbers that can be true."""
    clock, telemetry, series = Clock(), Telemetry(), Series(3600)
    async with opened(tmp_path / "cache.db", clock) as disk, trio.open_nursery() as nursery:
        gauges = Gauges(None, disk, [Metered(disk, telemetry)], {})
        await nursery.start(Sampler(telemetry, gauges, series, 0.01, clock).run)
        with trio.fail_after(20):
            while not len(series):  # noqa: ASYNC110  # it takes a thread's time
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    process = next(iter(series)).process
    assert process.disk_free is not None
    assert process.disk_free > 0
    assert (process.memory > 10_000_000, process.descriptors > 3, process.cpu >= 0) == (True, True, True)
