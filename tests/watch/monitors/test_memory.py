from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest
import structlog.testing
import trio
import trio.testing

from gateway.pipeline.clock import Clock
from gateway.pipeline.freshness import new_entry
from gateway.pipeline.model import Entry, Policy, Priority
from gateway.profile.tiers import MemoryTier as MemorySection
from gateway.profile.watch import MemoryMonitor as MemoryMonitorSection
from gateway.telemetry.telemetry import Telemetry
from gateway.tiers.memory import MemoryTier
from gateway.watch.monitors.memory import MemoryMonitor

SECTION = MemoryMonitorSection.model_validate({"warning": "100MB", "critical": "200MB", "pause": "30s"})


@pytest.fixture(autouse=True)
def lines() -> Iterator[list[dict[str, object]]]:
    """What is logged."""
    with structlog.testing.capture_logs() as logs:
        yield logs  # type: ignore[misc]  # its lines are mutable mappings


class Rig:
    """A monitor over a real memory tier, in a process whose size is what a test says."""

    def __init__(self, memory: bool = True) -> None:
        self.now, self.size, self.looks = 1000.0, 50_000_000, 0
        self.memory = MemoryTier(MemorySection(), Clock(lambda: self.now)) if memory else None
        self.telemetry = Telemetry()
        self.monitor = MemoryMonitor(SECTION, 1.0, self.memory, self.resident, self.telemetry.actions)

    def resident(self) -> int:
        self.looks += 1
        return self.size

    def keep(self, key: str, priority: Priority = Priority.MEDIUM, ttl: float = 1000) -> None:
        assert self.memory is not None
        self.memory.put(key, entry(self.now, priority, ttl))

    def kept(self) -> list[str]:
        assert self.memory is not None
        return [key for key, _ in self.memory.entries()]


def entry(now: float, priority: Priority, ttl: float) -> Entry:
    return new_entry(b"x", Policy("s", ttl=ttl, priority=priority), now)


async def test_enough_room_is_left_alone(autojump_clock: trio.testing.MockClock) -> None:
    """Below the warning nothing is given up."""
    rig = Rig()
    rig.keep("low", Priority.LOW)
    assert not rig.monitor.look()
    assert rig.kept() == ["low"]


async def test_a_warning_gives_up_what_is_worth_least(
    autojump_clock: trio.testing.MockClock, lines: list[dict[str, object]]
) -> None:
    """Low priority and what nobody may use any more; the rest stays."""
    rig = Rig()
    rig.keep("low", Priority.LOW)
    rig.keep("expired", Priority.HIGH, ttl=1)
    rig.keep("medium")
    rig.keep("high", Priority.HIGH)
    rig.now += 100
    rig.size = 100_000_000
    assert rig.monitor.look()
    assert rig.kept() == ["high", "medium"]
    assert rig.telemetry.actions.total("memory", "cleaned") == 1
    assert (lines[0]["key"], lines[0]["entries"]) == ("monitors.memory.warning", 2)


async def test_critical_empties_the_tier_and_collects_garbage(
    autojump_clock: trio.testing.MockClock, lines: list[dict[str, object]]
) -> None:
    """Which is of use at once: new entries are kept again."""

    class Cyclic:
        def __init__(self) -> None:
            self.own = self

    rig = Rig()
    rig.keep("high", Priority.HIGH)
    gc.disable()
    try:
        gone = weakref.ref(Cyclic())
        rig.size = 200_000_000
        assert rig.monitor.look()
    finally:
        gc.enable()
    assert gone() is None
    assert rig.kept() == []
    assert rig.telemetry.actions.total("memory", "emptied") == 1
    assert (lines[0]["key"], lines[0]["entries"]) == ("monitors.memory.critical", 1)
    rig.keep("new")
    assert rig.kept() == ["new"]


async def test_after_it_did_something_it_pauses(autojump_clock: trio.testing.MockClock) -> None:
    """What was freed may not leave the process at once: the tier is not emptied every second."""
    rig = Rig()
    rig.size = 200_000_000
    with trio.move_on_after(95):
        await rig.monitor.run()
    assert rig.telemetry.actions.total("memory", "emptied") == 4


async def test_it_looks_every_interval(autojump_clock: trio.testing.MockClock) -> None:
    """While there is nothing to do."""
    rig = Rig()
    with trio.move_on_after(10.5):
        await rig.monitor.run()
    assert rig.looks == 10


@pytest.mark.parametrize("size", [100_000_000, 200_000_000])
async def test_without_a_memory_tier(autojump_clock: trio.testing.MockClock, size: int) -> None:
    """There is garbage to collect, and nothing else."""
    rig = Rig(memory=False)
    rig.size = size
    assert rig.monitor.look()
