"""The admin site of several workers, as one: what they count is added up, what is done is done by all of them."""

from __future__ import annotations

import pickle
from typing import Any

import trio
from hypercorn.typing import ASGIFramework
from quart import Blueprint, Response, request
from quart_schema import hide, validate_response
from quart_trio import QuartTrio

from gateway.errors import TierError
from gateway.serving.admin.alerts import alert_routes
from gateway.serving.admin.charts import chart_routes
from gateway.serving.admin.diagnosis import diagnosis_routes
from gateway.serving.admin.metrics import metrics_routes
from gateway.serving.admin.models import (
    Shape,
)
from gateway.serving.admin.overview import overview_routes
from gateway.serving.admin.pages import page_routes
from gateway.serving.admin.reload import reload_routes
from gateway.serving.admin.seen import Seen
from gateway.serving.admin.site import site_of
from gateway.serving.probes import Standing
from gateway.serving.reloading import Reloader
from gateway.serving.workers.cache import cache_routes, passed_on
from gateway.serving.workers.fleet import Fleet
from gateway.serving.workers.worker import purge_of, selector_of


class WorkerShape(Shape):
    """One worker."""

    number: int
    pid: int | None
    """Null while there is none."""
    serves: bool
    ready: bool
    started_at: float
    """Seconds since the epoch."""
    restarts: int
    memory: int
    """Bytes of its process."""


class WorkersAnswer(Shape):
    """Every worker."""

    workers: list[WorkerShape]


def fleet_site(fleet: Fleet, seen: Seen, stop: trio.Event, reloader: Reloader) -> ASGIFramework:
    """The site; it is not ready any more once `stop` is set."""

    def ready() -> bool:
        return fleet.ready and not stop.is_set()

    routes = [
        cache_routes(fleet),
        _worker_routes(fleet),
        metrics_routes(seen.watching, reloader),
        reload_routes(reloader),
        overview_routes(seen, ready),
        alert_routes(seen.watching.alerting),
        chart_routes(seen.watching),
        diagnosis_routes(seen),
        page_routes(),
    ]
    return site_of(routes)


def standing_of(fleet: Fleet, stop: trio.Event) -> Standing:
    """What /readyz says of all workers together."""
    numbers = fleet.numbers
    tiers = {tier for each in numbers for tier in each.tiers}
    named = [tier for tier in ("memory", "disk", "shared") if tier in tiers]
    tools = max((each.tools for each in numbers), default=0)
    return Standing.of(tools, named, ready=fleet.ready, stopping=stop.is_set())


def hub(fleet: Fleet) -> ASGIFramework:
    """What workers ask the supervisor, on a socket that only they can reach."""
    site = QuartTrio("gateway.serving.workers")

    @site.post("/hello")
    async def hello() -> dict[str, Any]:
        number = (await request.get_json())["number"]
        return {"missed": [purge_of(selector, soft) for selector, soft in fleet.greet(number)]}

    @site.get("/profile/<which>")
    async def profile(which: str) -> Response:
        loaded = fleet.loaded if which == "started" else fleet.offered
        return Response(pickle.dumps(loaded), mimetype="application/octet-stream")

    @site.post("/purge")
    async def purge() -> tuple[dict[str, Any], int]:
        told = await request.get_json()
        selector, soft = selector_of(told)
        try:
            return {"purged": await fleet.purge(selector, soft=soft, by=told["by"])}, 200
        except TierError as error:
            return {"error": str(error)}, 503

    return site


def _worker_routes(fleet: Fleet) -> Blueprint:
    """`/api/workers`, and what only one of them can answer: `/api/profiles`."""
    routes = Blueprint("workers", __name__, url_prefix="/api")

    @routes.get("/workers")
    @validate_response(WorkersAnswer)
    async def workers() -> WorkersAnswer:
        """Every worker, and how it is."""
        shapes = [
            WorkerShape(
                number=each.number,
                pid=each.pid,
                serves=each.serves,
                ready=each.numbers.ready,
                started_at=each.started_at,
                restarts=each.restarts,
                memory=each.numbers.resident,
            )
            for each in fleet.workers
        ]
        return WorkersAnswer(workers=shapes)

    @routes.route("/profiles", methods=["GET", "POST"], defaults={"rest": ""})
    @routes.route("/profiles/<rest>")  # one segment: with `..` in it the worker would be asked for anything
    @hide
    async def profiles(rest: str) -> Response:
        """A CPU profile of one worker, `?worker=1`."""
        return await passed_on(fleet, f"/api/profiles/{rest}".rstrip("/"))

    @routes.get("/scaling")
    @hide
    async def scaling() -> Response:
        """What one worker has moved, `?worker=1`: each has limits of its own."""
        return await passed_on(fleet, "/api/scaling")

    return routes
