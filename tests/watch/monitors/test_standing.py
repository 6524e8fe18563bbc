from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import structlog.testing
import trio
import trio.testing

from gateway.errors import UpstreamUnavailable
from gateway.profile.upstreams.policies import Politeness
from gateway.profile.watch import Monitors
from gateway.telemetry.histogram import Histogram
from gateway.telemetry.series import ProcessSample, Sample, Series, UpstreamSample
from gateway.upstream.policies import Policies
from gateway.watch.gauges import Gauges
from gateway.watch.monitors.standing import StandingMonitor

SECTION = Monitors.model_validate({"interval": "1s", "descriptors": "80%", "disk": "1GB"})


class Machine(Gauges):
    """Gauges of a process and a disk whose numbers are set by hand."""

    def __init__(self, policies: Mapping[str, tuple[Policies, ...]] | None = None) -> None:
        super().__init__(None, None, [], policies or {})
        self.open_now = 10
        self.free: int | None = 5_000_000_000

    def descriptors(self) -> tuple[int, int]:
        return self.open_now, 100

    async def disk_free(self) -> int | None:
        await trio.lowlevel.checkpoint()
        return self.free


def asked(**outcomes: int) -> Series:
    series = Series(3600)
    upstreams = {"api": UpstreamSample(Histogram(), outcomes)}
    series.add(Sample(0.0, 5.0, Histogram(), {}, {}, upstreams, ProcessSample()))
    return series


def well(monitor: StandingMonitor) -> dict[tuple[str, ...], Any]:
    (metric,) = monitor.metrics()
    return dict(metric.samples)


async def looked(monitor: StandingMonitor, seconds: float = 1.5) -> list[tuple[str, str]]:
    """What the log says of so long."""
    with structlog.testing.capture_logs() as logs, trio.move_on_after(seconds):
        await monitor.run()
    return [(line["event"], line["name"]) for line in logs]


async def test_descriptors_that_run_short_are_said_once(autojump_clock: trio.testing.MockClock) -> None:
    """And once more when there are enough again, however often it looks."""
    machine = Machine()
    monitor = StandingMonitor("descriptors", SECTION, machine, Series(60))
    assert await looked(monitor) == []
    assert well(monitor) == {(): 1.0}
    machine.open_now = 80
    assert await looked(monitor, 10) == [("not well", "descriptors")]
    assert well(monitor) == {(): 0.0}
    machine.open_now = 79
    assert await looked(monitor, 10) == [("well again", "descriptors")]


async def test_a_disk_that_runs_full(autojump_clock: trio.testing.MockClock) -> None:
    """Below what the profile wants to be free."""
    machine = Machine()
    monitor = StandingMonitor("disk", SECTION, machine, Series(60))
    machine.free = 1_000_000_000
    assert await looked(monitor) == []
    machine.free = 999_999_999
    assert await looked(monitor) == [("not well", "disk")]


async def test_no_disk_is_no_matter(autojump_clock: trio.testing.MockClock) -> None:
    """Nothing is told of what is not there."""
    machine = Machine()
    machine.free = None
    monitor = StandingMonitor("disk", SECTION, machine, Series(60))
    assert await looked(monitor) == []
    assert well(monitor) == {}


@pytest.mark.parametrize(
    ("outcomes", "is_well"),
    [
        ({}, True),
        ({"answered": 3, "unavailable": 2}, True),
        ({"answered": 3, "unavailable": 3}, False),
        ({"unavailable": 4}, True),
        ({"unavailable": 5}, False),
        ({"not_found": 10}, True),
        ({"answered": 2, "rejected": 2, "invalid": 2}, False),
    ],
)
async def test_half_of_all_failed_is_not_well(
    autojump_clock: trio.testing.MockClock, outcomes: dict[str, int], is_well: bool
) -> None:
    """What an upstream does not have is no failure of it; one that was hardly asked is well."""
    machine = Machine({"api": (Policies("api", Politeness()),)})
    monitor = StandingMonitor("upstream", SECTION, machine, asked(**outcomes))
    assert await looked(monitor) == ([] if is_well else [("not well", "api")])
    assert well(monitor) == {("api",): float(is_well)}


async def test_an_open_breaker_is_not_well(autojump_clock: trio.testing.MockClock) -> None:
    """Whatever the last samples say."""
    policies = Policies("api", Politeness.model_validate({"retries": 0, "breaker": {"failures": 1}}))

    async def failing() -> None:
        raise UpstreamUnavailable("api", "down")

    with pytest.raises(UpstreamUnavailable):
        await policies.ask(failing, idempotent=True)
    monitor = StandingMonitor("upstream", SECTION, Machine({"api": (policies,)}), asked(answered=10))
    assert await looked(monitor) == [("not well", "api")]
