from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import structlog.testing
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gateway.errors import UpstreamUnavailable
from gateway.pipeline.clock import Clock
from gateway.pipeline.freshness import new_entry
from gateway.pipeline.model import Policy
from gateway.profile.profile import Profile
from gateway.telemetry.exposition import as_json
from gateway.telemetry.series import Series
from gateway.telemetry.telemetry import Telemetry
from gateway.tiers.memory import MemoryTier
from gateway.upstream.policies import Policies
from gateway.watch.gauges import Gauges
from gateway.watch.sampling import Sampler
from gateway.watch.scaling.levers import levers_of
from gateway.watch.scaling.model import Step
from gateway.watch.scaling.scaled import Scaled
from gateway.watch.scaling.scaler import Scaler

KB = 1000


@pytest.fixture(autouse=True)
def lines() -> Iterator[list[Any]]:
    """What is logged."""
    with structlog.testing.capture_logs() as logs:
        yield logs


class Process(Gauges):
    """Gauges of a process whose size is set by hand, save for what its memory tier has."""

    size = 50_000_000

    def resident(self) -> int:
        return self.size + (self._memory.statistics().size if self._memory is not None else 0)


class Rig:
    """A scaler on a real memory tier and real slots, sampled once a second."""

    def __init__(self, **scaling: Any) -> None:
        self.scaled, self.telemetry, self.series = Scaled(), Telemetry(), Series(600)
        self.profile = profile(**scaling)
        self.memory = MemoryTier(self.profile.cache.memory, Clock(lambda: 1000.0))
        self.policies = Policies("api", self.profile.upstreams["api"])  # type: ignore[arg-type]  # it is one over HTTP
        self.gauges = Process(self.memory, None, [], {"api": [self.policies]})
        self.scaler = self.on(self.profile)

    def on(self, profile: Profile) -> Scaler:
        levers = levers_of(profile, self.memory, None, {"api": [self.policies]})
        return Scaler(profile, levers, self.gauges, self.series, self.scaled, Clock(lambda: 1000.0))

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        sampler = Sampler(self.telemetry, self.gauges, self.series, 1.0, Clock(lambda: 1000.0))
        async with trio.open_nursery() as nursery:
            await nursery.start(sampler.run)
            await nursery.start(self.scaler.run)
            task_status.started()

    def ask(self, keys: range) -> None:
        """Read each, and put what is not there."""
        for number in keys:
            if self.memory.get(str(number)) is None:
                self.memory.put(str(number), new_entry(b"x" * 500, Policy("s", ttl=10_000.0), 1000.0))

    @property
    def steps(self) -> list[tuple[str, int, int]]:
        """The steps so far, oldest first."""
        return [(done.step.key, done.step.before, done.step.after) for done in reversed(self.scaled.steps)]


def profile(**scaling: Any) -> Profile:
    return Profile.model_validate(
        {
            "cache": {"memory": {"max_size": "200KB", "max_items": 1000}, "disk": {"enabled": False}},
            "metrics": {"resolution": "1s", "interval": "1s"},
            "upstreams": {
                "api": {"type": "http", "base_url": "https://example.org", "max_concurrent": 4, "retries": 0}
            },
            "scaling": {"enabled": True, "interval": "5s", "window": "10s", "cooldown": "20s", **scaling},
        }
    )


async def asking(rig: Rig, keys: int) -> None:
    """Ask for all keys in turns, for ever: what a tier that is too small for them never has."""
    while True:
        rig.ask(range(keys))
        await trio.sleep(1)


async def holding(rig: Rig, seconds: float) -> None:
    """Ask the upstream, which answers after so long."""

    async def answer() -> None:
        await trio.sleep(seconds)

    while True:
        with rig.telemetry.asking("api"):
            await rig.policies.ask(answer, idempotent=True)


async def test_a_tier_that_is_too_small_grows_until_it_is_not(autojump_clock: MockClock, lines: list[Any]) -> None:
    """Entries and bytes go together, each step is logged with its reason, and there it rests."""
    rig = Rig(pools={"enabled": False}, threads={"enabled": False})
    async with trio.open_nursery() as nursery:
        await nursery.start(rig.run)
        nursery.start_soon(asking, rig, 300)
        await trio.sleep(600)
        nursery.cancel_scope.cancel()
    assert rig.steps[0] == ("cache.memory.max_size", 200 * KB, 300 * KB)
    assert all(after > before for _, before, after in rig.steps)
    size, items = rig.memory.limits
    assert 300 * KB <= size <= 800 * KB
    assert items == size // 200
    moved = [line for line in lines if line["event"] == "limit moved"]
    assert len(moved) == len(rig.steps)
    assert (moved[0]["key"], moved[0]["before"], moved[0]["after"]) == ("cache.memory.max_size", "200KB", "300KB")
    assert "the curve says that" in moved[0]["reason"]


async def test_a_tier_that_no_size_helps_stays(autojump_clock: MockClock, lines: list[Any]) -> None:
    """What is never asked for again fills any tier: it is refused, and said once."""
    rig = Rig(pools={"enabled": False}, threads={"enabled": False})

    async def scanning() -> None:
        number = 0
        while True:
            rig.ask(range(number, number + 300))
            number += 300
            await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        await nursery.start(rig.run)
        nursery.start_soon(scanning)
        await trio.sleep(300)
        nursery.cancel_scope.cancel()
    assert rig.steps == []
    assert rig.scaled.refusals["cache.memory.max_size"].why == "flat"
    assert [line["why"] for line in lines if line["event"] == "limit not moved"] == ["flat"]


async def test_growth_stops_at_the_budget(autojump_clock: MockClock) -> None:
    """No step leads past what the process may have, and above it the tier shrinks."""
    rig = Rig(memory_budget="50260KB", pools={"enabled": False}, threads={"enabled": False})
    async with trio.open_nursery() as nursery:
        await nursery.start(rig.run)
        nursery.start_soon(asking, rig, 300)
        await trio.sleep(200)
        grown = rig.memory.limits[0]
        assert rig.gauges.resident() <= 50_260_000
        rig.gauges.size = 50_100_000
        await trio.sleep(30)
        shrunk = rig.memory.limits[0]
        nursery.cancel_scope.cancel()
    assert 200 * KB < grown <= 260 * KB
    assert shrunk < grown
    assert rig.memory.statistics().size <= shrunk


async def test_a_pool_grows_while_requests_wait_for_it(autojump_clock: MockClock) -> None:
    """As far as its bound, since each step brings more answers; a rest shrinks it again, and nothing is cut off."""
    rig = Rig(memory={"enabled": False}, threads={"enabled": False}, pools={"max": 10})
    with trio.CancelScope() as load:
        async with trio.open_nursery() as nursery:
            await nursery.start(rig.run)
            async with trio.open_nursery() as clients:
                for _ in range(20):
                    clients.start_soon(holding, rig, 0.5)
                await trio.sleep(200)
                clients.cancel_scope.cancel()
            assert rig.steps[:3] == [("upstreams.api.max_concurrent", *pair) for pair in ((4, 6), (6, 9), (9, 10))]
            assert rig.scaled.refusals["upstreams.api.max_concurrent"].why == "bound"
            await trio.sleep(300)
            load.cancel()
    assert rig.policies.slots.limit == 2


async def test_an_upstream_that_says_no_is_not_asked_more(autojump_clock: MockClock) -> None:
    """However many requests wait."""
    rig = Rig(memory={"enabled": False}, threads={"enabled": False})

    async def failing() -> None:
        async def answer() -> None:
            await trio.sleep(0.5)
            raise UpstreamUnavailable("api", "answered 429")

        while True:
            try:
                with rig.telemetry.asking("api"):
                    await rig.policies.ask(answer, idempotent=True)
            except UpstreamUnavailable:
                await trio.sleep(0.1)

    async with trio.open_nursery() as nursery:
        await nursery.start(rig.run)
        for _ in range(20):
            nursery.start_soon(failing)
        await trio.sleep(200)
        nursery.cancel_scope.cancel()
    assert all(after < before for _, before, after in rig.steps)


async def test_threads_grow_while_tasks_wait(mock_clock: MockClock) -> None:
    """Two at a time; the tasks that waited run."""
    rig = Rig(memory={"enabled": False}, pools={"enabled": False}, threads={"min": 1}, looks=1)
    limiter = trio.to_thread.current_default_thread_limiter()
    limiter.total_tokens = 1
    async with trio.open_nursery() as nursery:
        holders = [object(), object(), object()]
        for holder in holders:
            nursery.start_soon(limiter.acquire_on_behalf_of, holder)
        await nursery.start(rig.run)
        for _ in range(15):
            await wait_all_tasks_blocked()
            mock_clock.jump(1.0)
        await wait_all_tasks_blocked()
        assert rig.steps == [("scaling.threads", 1, 3)]
        assert limiter.borrowed_tokens == 3
        for holder in holders:
            limiter.release_on_behalf_of(holder)
        nursery.cancel_scope.cancel()
    limiter.total_tokens = 40


async def test_what_is_not_scaled_any_more_is_put_back(autojump_clock: MockClock) -> None:
    """A profile that turns it off, all or a part of it, has what the rest of it says."""
    rig = Rig()
    rig.memory.resize(300 * KB, 1500)
    rig.policies.slots.resize(6)
    part = rig.on(profile(pools={"leave": ["api"]}))
    part.restore()
    assert (rig.memory.limits, rig.policies.slots.limit) == ((300 * KB, 1500), 4)
    rig.on(profile(enabled=False)).restore()
    assert rig.memory.limits == (200 * KB, 1000)
    assert {key for key, _, _ in rig.steps} == {"upstreams.api.max_concurrent", "cache.memory.max_size"}


async def test_nothing_is_judged_by_half_a_window(autojump_clock: MockClock) -> None:
    """An idle limit is not moved before there are samples of a whole window, and of three looks."""
    rig = Rig(memory={"enabled": False}, threads={"enabled": False})
    async with trio.open_nursery() as nursery:
        await nursery.start(rig.run)
        await trio.sleep(19)
        assert rig.steps == []
        await trio.sleep(5)
        assert rig.steps == [("upstreams.api.max_concurrent", 4, 3)]
        nursery.cancel_scope.cancel()


async def test_metrics_tell_limits_loads_and_steps(autojump_clock: MockClock) -> None:
    """By the profile's keys; nothing where nothing is scaled."""
    rig = Rig()
    rig.scaled.moved(1000.0, Step("cache.memory.max_size", "memory", 200 * KB, 300 * KB, "it is full"))
    rig.memory.resize(300 * KB, 1500)
    told = as_json(rig.scaler.metrics())
    limits = {each["labels"]["key"]: each["value"] for each in told["gateway_scaling_limit"]["samples"]}
    assert limits == {"cache.memory.max_size": 300 * KB, "upstreams.api.max_concurrent": 4, "scaling.threads": 40}
    assert told["gateway_scaling_steps"]["samples"] == [
        {"labels": {"key": "cache.memory.max_size", "direction": "up"}, "value": 1}
    ]
    assert rig.on(profile(enabled=False)).metrics() == []
