from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing

from gateway.errors import UpstreamUnavailable
from gateway.pipeline.clock import Clock
from gateway.pipeline.metered import Metered
from gateway.profile.tiers import MemoryTier as MemorySection
from gateway.profile.upstreams.policies import Politeness
from gateway.telemetry.exposition import as_json
from gateway.tiers.memory import MemoryTier
from gateway.upstream.policies import Policies
from gateway.watch.gauges import Gauges
from tests.tiers.rig import entry, opened


async def test_tiers_fastest_first(tmp_path: Path) -> None:
    """Each with its reads, what it holds, and what it may hold."""
    clock = Clock()
    memory = MemoryTier(MemorySection.model_validate({"max_size": "1MB"}), clock)
    async with opened(tmp_path / "cache.db", clock, max_size="2MB") as disk:
        metered = Metered(disk)
        gauges = Gauges(memory, disk, [metered], {})
        memory.put("a", entry())
        memory.get("a")
        await metered.put({"a": entry(), "b": entry()})
        await metered.get("nothing")
        tiers = gauges.tiers()
    assert list(tiers) == ["memory", "disk"]
    assert (tiers["memory"].hits, tiers["memory"].entries, tiers["memory"].limit) == (1, 1, 1_000_000)
    assert (tiers["disk"].misses, tiers["disk"].entries, tiers["disk"].limit) == (1, 2, 2_000_000)
    assert tiers["disk"].size > 0


async def test_without_tiers_there_are_none(autojump_clock: trio.testing.MockClock) -> None:
    """And no disk whose room could be told."""
    gauges = Gauges(None, None, [], {})
    assert gauges.tiers() == {}
    assert await gauges.disk_free() is None


async def test_an_upstream_of_two_hosts_is_one(autojump_clock: trio.testing.MockClock) -> None:
    """Its policies are added up; one that is on this machine has none and is left out."""
    section = Politeness.model_validate({"retries": 0, "breaker": {"failures": 1}})
    registry, cdn = Policies("api", section), Policies("api", section)
    gauges = Gauges(None, None, [], {"api": [registry, cdn], "files": []})

    async def failing() -> None:
        raise UpstreamUnavailable("api", "down")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: registry.ask(trio.sleep_forever, idempotent=True))
        with pytest.raises(UpstreamUnavailable):
            await cdn.ask(failing, idempotent=True)
        await trio.testing.wait_all_tasks_blocked()
        (state,) = gauges.upstreams().values()
        nursery.cancel_scope.cancel()
    assert (state.under_way, state.requests, state.breaker_open, state.trips) == (1, 2, True, 1)


async def test_metrics_name_their_units(autojump_clock: trio.testing.MockClock) -> None:
    """Every name is the gateway's, unique, and has a sample only where there is something to tell."""
    memory = MemoryTier(MemorySection.model_validate({"max_size": "1MB"}), Clock())
    metrics = Gauges(memory, None, [], {"api": [Policies("api", Politeness())]}).metrics()
    names = [metric.name for metric in metrics]
    assert len(set(names)) == len(names)
    assert all(name.startswith("gateway_") for name in names)
    told = as_json(metrics)
    assert told["gateway_tier_limit_bytes"]["samples"] == [{"labels": {"tier": "memory"}, "value": 1_000_000}]
    assert told["gateway_upstream_breaker_open"]["samples"] == [{"labels": {"upstream": "api"}, "value": 0}]
    assert told["gateway_process_memory_bytes"]["samples"][0]["value"] > 10_000_000
    assert told["gateway_process_descriptors"]["samples"][0]["value"] > 3
    assert told["gateway_process_cpu_seconds"]["kind"] == "counter"
