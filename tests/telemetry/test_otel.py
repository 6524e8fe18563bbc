from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest
import trio
import trio.testing

from gateway import __version__
from gateway.errors import StartError
from gateway.profile.watch import OpenTelemetry
from gateway.telemetry import tracing
from gateway.telemetry.histogram import EXPOSED
from gateway.telemetry.metrics import Counts, Metric, Timings
from gateway.telemetry.otel import MetricsSender, open_tracing, resource_of
from tests.fakes.collector import Collector
from tests.fakes.http_server import silent
from tests.fakes.mcp_rig import gateway_of, until

GONE = "http://127.0.0.1:9"


@pytest.fixture
async def collector(nursery: trio.Nursery) -> Collector:
    """A collector on 127.0.0.1."""
    collector = Collector()
    await nursery.start(collector.serve)
    return collector


def section(**more: object) -> OpenTelemetry:
    return OpenTelemetry.model_validate(more)


async def test_spans_arrive_by_the_end(collector: Collector) -> None:
    """With who sent them, and with the headers of the profile."""
    headers = {"Authorization": "Bearer x"}
    async with open_tracing(section(headers=headers), collector.url + "/", resource_of("varlet")):
        assert tracing.tracing()
        with tracing.span("work", tier="disk", long="x" * 1000):
            pass
    assert not tracing.tracing()
    (span,) = collector.spans
    assert (span.name, span.attributes["gateway.tier"], len(span.attributes["gateway.long"])) == ("work", "disk", 256)
    (resource,) = collector.resources
    assert (resource["service.name"], resource["service.version"]) == ("varlet", __version__)
    assert collector.requests[0].headers["authorization"] == "Bearer x"


async def test_a_share_of_traces(collector: Collector) -> None:
    """None at 0 %, save for those that a caller wants to be kept."""
    async with open_tracing(section(traces="0%"), collector.url, resource_of("varlet")):
        with tracing.span("own"):
            assert int(dict(tracing.outgoing_context())["traceparent"][-2:], 16) % 2 == 0
        told = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
        with tracing.within_context_of(told), tracing.span("asked"):
            pass
    assert [span.name for span in collector.spans] == ["asked"]


@pytest.mark.parametrize("hangs", [False, True])
async def test_a_dead_collector_is_not_waited_for(
    collector: Collector, caplog: pytest.LogCaptureFixture, *, hangs: bool
) -> None:
    """To end takes a moment at most, whether nobody is there or nobody answers."""
    collector.on("/v1/traces", silent)
    with trio.fail_after(10):
        async with open_tracing(section(), collector.url if hangs else GONE, resource_of("varlet")):
            for _ in range(600):
                with tracing.span("work"):
                    pass
    assert all(thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread())


def metrics() -> list[Metric]:
    timings, counts = Timings("t_seconds", "How long", "tool"), Counts("c_things", "How many", "kind")
    for duration in (0.0007, 0.003, 200.0):
        timings.of("props").record(duration)
    counts.add("a", by=3)
    return [timings.metric(), counts.metric(), Metric("g_bytes", "How large", "gauge", (), {(): 5.0})]


async def test_metrics_arrive_every_interval_and_at_the_end(collector: Collector) -> None:
    """As what they are, with the buckets that leave the process."""
    sender = MetricsSender(section(interval="1s"), collector.url, resource_of("varlet"), metrics)
    async with trio.open_nursery() as nursery:
        await nursery.start(sender.run)
        await until(lambda: len(collector.requests) == 1)
        nursery.cancel_scope.cancel()
    assert collector.targets() == ["/v1/metrics"] * 2
    found = collector.metrics
    (timing,) = found["t_seconds"].histogram.data_points
    assert (found["t_seconds"].unit, found["t_seconds"].description) == ("s", "How long")
    assert (timing.count, timing.min, timing.max) == (3, 0.0007, 200.0)
    assert timing.sum == pytest.approx(200.0037)
    assert tuple(timing.explicit_bounds) == EXPOSED
    assert [index for index, count in enumerate(timing.bucket_counts) for _ in range(count)] == [
        EXPOSED.index(0.001),
        EXPOSED.index(0.005),
        len(EXPOSED),
    ]
    assert [(each.key, each.value.string_value) for each in timing.attributes] == [("tool", "props")]
    assert (found["c_things"].sum.is_monotonic, found["c_things"].sum.data_points[0].as_int) == (True, 3)
    assert (found["g_bytes"].unit, found["g_bytes"].gauge.data_points[0].as_double) == ("By", 5.0)


@pytest.mark.parametrize("hangs", [False, True])
async def test_metrics_that_do_not_arrive_do_no_harm(collector: Collector, *, hangs: bool) -> None:
    """The service goes on, and ends when it is told to."""
    collector.on("/v1/metrics", silent)
    asked = trio.Event()

    def noted() -> list[Metric]:
        asked.set()
        return metrics()

    url = collector.url if hangs else GONE
    sender = MetricsSender(section(interval="1s"), url, resource_of("varlet"), noted)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(sender.run)
            await asked.wait()
            nursery.cancel_scope.cancel()


async def test_a_gateway_without_the_extra_says_which_command_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As its one sentence, and not as a traceback."""
    monkeypatch.setitem(sys.modules, "gateway.telemetry.otel", None)
    monkeypatch.delattr("gateway.telemetry.otel", raising=False)
    with pytest.raises(StartError, match=r"needs the extra `otel`, .* is not installed: pip install 'gateway\[otel\]'"):
        async with gateway_of(tmp_path, f'[opentelemetry]\nendpoint = "{GONE}"\n'):
            pass
