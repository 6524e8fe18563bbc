"""Metrics by HTTP: for Prometheus, in OpenMetrics, as JSON."""

from __future__ import annotations

from functools import partial
from typing import Any

import trio
from quart import Blueprint, Response, request
from quart_schema import hide

from gateway.serving.reloading import Reloader
from gateway.telemetry.metrics import Metric
from gateway.watch.watching import Watching

_WRITING = trio.CapacityLimiter(1)
"""To write a few thousand lines takes some 100 ms of Python, in which the event loop has its turns."""


def metrics_routes(watching: Watching, reloader: Reloader | None) -> Blueprint:
    """`/metrics` and `/api/metrics`."""
    routes = Blueprint("metrics", __name__)

    def told() -> list[Metric]:
        return [*watching.metrics(), *(reloader.metrics() if reloader is not None else [])]

    @routes.get("/metrics")
    @hide
    async def scrape() -> Response:
        """Every metric since the start; OpenMetrics where the scraper accepts it, else Prometheus' text."""
        from gateway.telemetry.exposition import exposed, kept

        writing = partial(exposed, kept(told()), request.headers.get("Accept", ""))
        body, content_type = await trio.to_thread.run_sync(writing, limiter=_WRITING)
        return Response(body, content_type=content_type)

    @routes.get("/api/metrics")
    async def numbers() -> dict[str, Any]:
        """Every metric since the start, by name: timings in seconds with count, sum, mean, min, max and percentiles."""
        from gateway.telemetry.exposition import as_json

        return as_json(told())

    return routes
