from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog.testing
import trio
import trio.testing

from gateway.errors import GatewayError
from gateway.pipeline.clock import Clock
from gateway.profile.alerts import Alerts
from gateway.telemetry.histogram import Histogram
from gateway.telemetry.series import ProcessSample, Sample, Series, UpstreamSample
from gateway.watch.alerts.alerting import Alerting
from gateway.watch.alerts.model import Severity
from tests.watch.alerts.rig import Told

ALERTS = Alerts.model_validate(
    {
        "memory": {"warning": "100B", "critical": "200B", "window": "5s"},
        "upstream_response_time": {"warning": "1s", "min_requests": 1, "window": "5s"},
    }
)


def sample(memory: int, **upstreams: float) -> Sample:
    asked = {}
    for name, seconds in upstreams.items():
        timings = Histogram()
        timings.record(seconds)
        asked[name] = UpstreamSample(timings, {})
    return Sample(0.0, 5.0, Histogram(), {}, {}, asked, ProcessSample(memory=memory))


class Rig:
    def __init__(self, *notifiers: Told) -> None:
        self.series = Series(3600)
        self.alerting = Alerting(ALERTS, self.series, 30.0, Clock(lambda: 1000.0), notifiers)

    def sampled(self, memory: int, **upstreams: float) -> None:
        self.series.add(sample(memory, **upstreams))

    def severities(self) -> dict[tuple[str, ...], float | Histogram]:
        severity, _ = self.alerting.metrics()
        return dict(severity.samples)


@contextmanager
def logged() -> Iterator[list[str]]:
    """The change of every alert that is logged in the block."""
    found: list[str] = []
    with structlog.testing.capture_logs() as lines:
        yield found
    found += [line["change"] for line in lines if line["event"] == "alert"]


async def test_the_worst_is_first(autojump_clock: trio.testing.MockClock) -> None:
    """Of all that is raised; each upstream is a subject of its own."""
    rig = Rig()
    rig.sampled(250, fast=0.1, slow=2.0)
    assert [change.event for change in rig.alerting.look()] == ["raised", "raised"]
    raised = [(alert.name, alert.subject, alert.severity) for alert in rig.alerting.raised]
    assert raised == [("memory", "", Severity.CRITICAL), ("upstream_response_time", "slow", Severity.WARNING)]


async def test_metrics_have_a_sample_for_all_that_is_judged(autojump_clock: trio.testing.MockClock) -> None:
    """0 for what is well, also after it was not: a series that vanishes is no alert that was cleared."""
    rig = Rig()
    rig.sampled(150, fast=0.1, slow=2.0)
    rig.alerting.look()
    memory, fast, slow = ("memory", ""), ("upstream_response_time", "fast"), ("upstream_response_time", "slow")
    assert rig.severities() == {memory: 1, fast: 0, slow: 1}
    rig.sampled(10, fast=0.1, slow=0.1)
    rig.alerting.look()
    assert rig.severities() == {memory: 0, fast: 0, slow: 0}


async def test_raises_are_counted(autojump_clock: trio.testing.MockClock) -> None:
    """By alert and severity; what eases or is cleared is not one."""
    rig = Rig()
    async with trio.open_nursery() as nursery:
        await nursery.start(rig.alerting.run)
        await trio.sleep(1)
        for memory in (150, 250, 150, 10, 150):
            rig.sampled(memory)
            await trio.sleep(30)
        nursery.cancel_scope.cancel()
    _, raises = rig.alerting.metrics()
    assert raises.samples == {("memory", "warning"): 2, ("memory", "critical"): 1}


async def test_changes_are_logged_remembered_and_told(autojump_clock: trio.testing.MockClock) -> None:
    """Each once, in turn; the newest is shown first."""
    told = Told()
    rig = Rig(told)
    with logged() as events:
        async with trio.open_nursery() as nursery:
            await nursery.start(rig.alerting.run)
            await trio.sleep(1)
            for memory in (10, 150, 150, 250, 10, 10):
                rig.sampled(memory)
                await trio.sleep(30)
            nursery.cancel_scope.cancel()
    assert told.events == events == ["raised", "worsened", "cleared"]
    assert [change.event for change in rig.alerting.changes] == ["cleared", "worsened", "raised"]


async def test_who_fails_is_told_of_the_next_one(autojump_clock: trio.testing.MockClock) -> None:
    """And others are told anyhow; that it failed is in the log, whatever the exception."""
    failing, other = Told(failures=[GatewayError("nobody there"), ValueError("broken")]), Told()
    rig = Rig(failing, other)
    with structlog.testing.capture_logs() as lines:
        async with trio.open_nursery() as nursery:
            await nursery.start(rig.alerting.run)
            await trio.sleep(1)
            for memory in (150, 250, 10):
                rig.sampled(memory)
                await trio.sleep(30)
            nursery.cancel_scope.cancel()
    assert (failing.events, other.events) == (["cleared"], ["raised", "worsened", "cleared"])
    assert [line["error"] for line in lines if line["event"] == "an alert could not be told"] == [
        "nobody there",
        "broken",
    ]


async def test_nobody_who_is_slow_holds_up_the_others(autojump_clock: trio.testing.MockClock) -> None:
    """Numbers are judged in time, and what waits for too long is only logged: it takes no memory without end."""
    slow, other = Told(delay=1e6), Told()
    rig = Rig(slow, other)
    with structlog.testing.capture_logs() as lines:
        async with trio.open_nursery() as nursery:
            await nursery.start(rig.alerting.run)
            await trio.sleep(1)
            for number in range(120):
                rig.sampled(150 if number % 2 else 10)
                await trio.sleep(30)
            nursery.cancel_scope.cancel()
    assert len(other.changes) == 119
    dropped = [line for line in lines if line["event"] == "an alert is told to the log alone, too many wait"]
    assert len(dropped) == 119 - 1 - 100
    assert len(rig.alerting.changes) == 100
