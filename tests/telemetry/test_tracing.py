from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import trio
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gateway.errors import UpstreamUnavailable
from gateway.telemetry import tracing
from gateway.telemetry.telemetry import Telemetry

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


@pytest.fixture
def ended() -> Iterator[InMemorySpanExporter]:
    """The spans that have ended, with somebody who listens."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider.get_tracer("tests"))
    yield exporter
    tracing.use(None)


def only(exporter: InMemorySpanExporter) -> ReadableSpan:
    (span,) = exporter.get_finished_spans()
    return span


def test_nobody_listens_by_default() -> None:
    """Spans cost nothing then, say nothing, and no header leaves."""
    with tracing.within_context_of({"traceparent": TRACEPARENT}), tracing.span("work", tier="disk") as opened:
        opened.set(outcome="hit")
        opened.failed("x")
        assert tracing.outgoing_context() == []
    assert not tracing.tracing()


def test_nothing_of_the_sdk_is_imported_without_a_listener() -> None:
    """A gateway without a collector starts as fast as if there were none of it."""
    code = (
        "import sys, gateway.cli.serving, gateway.serving.http; from gateway.telemetry.tracing import span\n"
        "with span('x'): pass\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter', "
        "'google.protobuf', 'requests'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_span_is_below_the_one_that_is_open(ended: InMemorySpanExporter) -> None:
    """With attributes of ours, which can be added to."""
    with tracing.span("outer", "server"), tracing.span("inner", tier="disk") as opened:
        opened.set(outcome="hit")
    inner, outer = ended.get_finished_spans()
    assert (inner.name, inner.attributes) == ("inner", {"gateway.tier": "disk", "gateway.outcome": "hit"})
    assert inner.parent is not None
    assert outer.context is not None
    assert inner.parent.span_id == outer.context.span_id
    assert (outer.kind.name, inner.kind.name) == ("SERVER", "INTERNAL")


def test_a_failure_is_told_by_its_kind_alone(ended: InMemorySpanExporter) -> None:
    """What an exception says may hold what was asked for, so neither its text nor a traceback leaves."""
    with pytest.raises(ValueError, match="s3cret"), tracing.span("work"):
        raise ValueError("s3cret")
    span = only(ended)
    assert (span.attributes, span.events) == ({"error.type": "ValueError"}, ())
    assert (span.status.status_code.name, span.status.description) == ("ERROR", None)


async def test_who_goes_away_is_no_failure(ended: InMemorySpanExporter) -> None:
    """The span ends, and that is all."""
    with trio.CancelScope() as scope, tracing.span("work"):
        scope.cancel()
        await trio.lowlevel.checkpoint()
    assert only(ended).status.status_code.name == "UNSET"


def test_a_trace_that_is_told_is_continued(ended: InMemorySpanExporter) -> None:
    """By its headers (W3C Trace Context), and on to who is asked next."""
    with tracing.within_context_of({"traceparent": TRACEPARENT, "tracestate": "a=1"}), tracing.span("work"):
        headers = dict(tracing.outgoing_context())
    span = only(ended)
    assert span.parent is not None
    assert (f"{span.parent.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, PARENT)
    assert span.context is not None
    assert headers == {"traceparent": f"00-{TRACE}-{span.context.span_id:016x}-01", "tracestate": "a=1"}


@pytest.mark.parametrize("told", [{}, {"traceparent": "garbage"}, {"traceparent": 5}, {"traceparent": "00-0-0-00"}])
def test_no_trace_is_told(ended: InMemorySpanExporter, told: dict[str, object]) -> None:
    """Then the span is below the one that is open, whatever was sent instead."""
    with tracing.span("outer"), tracing.within_context_of(told), tracing.span("inner"):
        pass
    inner, outer = ended.get_finished_spans()
    assert inner.parent is not None
    assert inner.parent == outer.context


async def test_a_task_is_part_of_the_trace_of_who_starts_it(ended: InMemorySpanExporter) -> None:
    """A load runs in a nursery of the gateway's, and still below the request that asked first."""

    async def work() -> None:
        with tracing.span("inner"):
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        with tracing.span("outer"):
            nursery.start_soon(work)
    spans = {span.name: span for span in ended.get_finished_spans()}
    assert spans["inner"].parent == spans["outer"].context


def test_a_question_to_an_upstream_is_a_span(ended: InMemorySpanExporter) -> None:
    """With how it ended."""
    with pytest.raises(UpstreamUnavailable), Telemetry().asking("api"):
        raise UpstreamUnavailable("api", "down at s3cret")
    span = only(ended)
    assert (span.name, span.kind.name) == ("upstream", "CLIENT")
    assert span.attributes == {
        "gateway.upstream": "api",
        "gateway.outcome": "unavailable",
        "error.type": "UpstreamUnavailable",
    }
