"""An OpenTelemetry collector on a loopback socket, which reads what it is sent by the protocol's own definitions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.fakes.http_server import HttpServer, answer


@dataclass(frozen=True)
class Received:
    """A span."""

    name: str
    kind: int
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]
    failed: bool
    events: int
    status: str


class Collector(HttpServer):
    """Takes spans and metrics."""

    def __init__(self) -> None:
        super().__init__()
        for target in ("/v1/traces", "/v1/metrics"):
            self.on(target, answer(b"", "application/x-protobuf"))

    @property
    def spans(self) -> list[Received]:
        return [
            Received(
                span.name,
                span.kind,
                span.trace_id.hex(),
                span.span_id.hex(),
                span.parent_span_id.hex(),
                _plain(span.attributes),
                span.status.code == 2,
                len(span.events),
                span.status.message,
            )
            for body in self._bodies("/v1/traces")
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def children(self, parent: str) -> list[Received]:
        """The spans right below one."""
        return [span for span in self.spans if span.parent == parent]

    @property
    def metrics(self) -> dict[str, Any]:
        """The newest of each, by name."""
        return {
            metric.name: metric
            for body in self._bodies("/v1/metrics")
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    @property
    def resources(self) -> list[dict[str, Any]]:
        """Who sent spans."""
        requests = [ExportTraceServiceRequest.FromString(body) for body in self._bodies("/v1/traces")]
        return [_plain(each.resource.attributes) for request in requests for each in request.resource_spans]

    def _bodies(self, target: str) -> Iterator[bytes]:
        return (request.body for request in self.requests if request.target == target)


def _plain(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
