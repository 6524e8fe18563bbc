"""Spans and metrics to an OpenTelemetry collector, by OTLP over HTTP. Imported only where a profile names one.

Both leave by threads of their own: a collector that is slow or gone costs spans and numbers, never a request.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise

import requests
import trio
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import export
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from gateway import __version__
from gateway.profile.watch import OpenTelemetry
from gateway.telemetry import tracing
from gateway.telemetry.histogram import EXPOSED, Histogram
from gateway.telemetry.metrics import Labels, Metric

_LONGEST_EXPORT = 10.0
"""Seconds for one batch, with all tries."""
_LAST_EXPORT = 2.0
"""Seconds for what is left when the gateway closes, for spans and for metrics each: to stop is worth more."""
_SCOPE = InstrumentationScope("gateway", __version__)
_LONGEST_ATTRIBUTE = 256
"""Characters of a value."""
_UNITS = {"seconds": "s", "bytes": "By", "ratio": "1"}
"""By how a metric's name ends, as UCUM spells them."""


def resource_of(name: str) -> Resource:
    """Which gateway it is; what OTEL_RESOURCE_ATTRIBUTES says is added."""
    return Resource.create({"service.name": name, "service.version": __version__})


@asynccontextmanager
async def open_tracing(section: OpenTelemetry, endpoint: str, resource: Resource) -> AsyncIterator[None]:
    """Sends the spans of the block to the collector; what is left of them at its end gets a moment."""
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)  # a line for a batch that is lost, not one for each try
    exporter = OTLPSpanExporter(
        f"{endpoint.rstrip('/')}/v1/traces", headers=section.headers, timeout=_LONGEST_EXPORT, session=_session()
    )
    provider = TracerProvider(
        ParentBased(TraceIdRatioBased(section.traces)),
        resource,
        shutdown_on_exit=False,
        span_limits=SpanLimits(max_attribute_length=_LONGEST_ATTRIBUTE),
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracing.use(provider.get_tracer("gateway", __version__))
    try:
        yield
    finally:
        tracing.use(None)
        with trio.move_on_after(_LAST_EXPORT, shield=True) as scope:
            await trio.to_thread.run_sync(provider.shutdown, abandon_on_cancel=True)
        if scope.cancelled_caught:
            exporter.shutdown()  # type: ignore[no-untyped-call]  # no more tries; its thread does not keep the process alive


class MetricsSender:
    """Sends every metric every `interval` seconds. `run` is the service."""

    def __init__(
        self, section: OpenTelemetry, endpoint: str, resource: Resource, metrics: Callable[[], Iterable[Metric]]
    ) -> None:
        self._interval = section.interval
        self._metrics = metrics
        self._resource = resource
        self._began = time.time_ns()
        self._limiter = trio.CapacityLimiter(1)
        self._open = partial(
            OTLPMetricExporter,
            f"{endpoint.rstrip('/')}/v1/metrics",
            headers=section.headers,
            timeout=_LONGEST_EXPORT,
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Send until cancelled; then once more, for a moment."""
        task_status.started()
        exporter = self._open(session=_session())  # one that was shut down takes no more: each run has its own
        try:
            while True:
                await trio.sleep(self._interval)
                await self._send(exporter)
        finally:
            with trio.move_on_after(_LAST_EXPORT, shield=True):
                await self._send(exporter)
            exporter.shutdown()

    async def _send(self, exporter: OTLPMetricExporter) -> None:
        """Send all as it is now. What does not arrive is logged by the exporter; the next ones have the same counts."""
        now = time.time_ns()
        told = [_told(metric, self._began, now) for metric in self._metrics()]  # here: what it reads changes here
        scope = export.ScopeMetrics(_SCOPE, told, "")
        data = export.MetricsData([export.ResourceMetrics(self._resource, [scope], "")])
        await trio.to_thread.run_sync(exporter.export, data, abandon_on_cancel=True, limiter=self._limiter)


def _told(metric: Metric, began: int, now: int) -> export.Metric:
    data: export.DataT
    if metric.kind == "histogram":
        timings = [(labels, value) for labels, value in metric.samples.items() if isinstance(value, Histogram)]
        points = [_timing(_attributes(metric, labels), value, began, now) for labels, value in timings]
        data = export.Histogram(points, export.AggregationTemporality.CUMULATIVE)
    else:
        values = [(labels, value) for labels, value in metric.samples.items() if not isinstance(value, Histogram)]
        numbers = [export.NumberDataPoint(_attributes(metric, labels), began, now, value) for labels, value in values]
        if metric.kind == "counter":
            data = export.Sum(numbers, export.AggregationTemporality.CUMULATIVE, is_monotonic=True)
        else:
            data = export.Gauge(numbers)
    return export.Metric(metric.name, metric.help, _UNITS.get(metric.name.rpartition("_")[2], ""), data)


def _attributes(metric: Metric, labels: Labels) -> dict[str, str]:
    return dict(zip(metric.labels, labels, strict=True))


def _timing(attributes: dict[str, str], timing: Histogram, began: int, now: int) -> export.HistogramDataPoint:
    count = timing.count
    buckets = [after - before for before, after in pairwise((0, *timing.exposed(), count))]
    return export.HistogramDataPoint(
        attributes, began, now, count, timing.sum, buckets, EXPOSED, timing.min, timing.max
    )


def _session() -> requests.Session:
    """One that takes no proxy, no credential and no certificate from elsewhere than the profile."""
    session = requests.Session()
    session.trust_env = False
    return session
