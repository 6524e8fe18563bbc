"""The admin site of several workers, as one: what they count is added up, what is done is done by all of them."""

from __future__ import annotations

import pickle
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import orjson
import trio
from hypercorn.typing import ASGIFramework
from quart import Blueprint, Response, request
from quart_schema import hide, validate_querystring, validate_request, validate_response
from quart_trio import QuartTrio

from gateway.errors import GatewayError, TierError
from gateway.serving.admin.alerts import alert_routes
from gateway.serving.admin.charts import chart_routes
from gateway.serving.admin.diagnosis import diagnosis_routes
from gateway.serving.admin.metrics import metrics_routes
from gateway.serving.admin.models import (
    Entries,
    EntriesQuery,
    EntryShape,
    ImportAnswer,
    PurgeAnswer,
    PurgeRequest,
    Shape,
    Stats,
    TierStats,
    Verified,
    VerifyRequest,
)
from gateway.serving.admin.overview import overview_routes
from gateway.serving.admin.pages import page_routes
from gateway.serving.admin.reload import reload_routes
from gateway.serving.admin.seen import Seen
from gateway.serving.admin.site import Standing, site_of
from gateway.serving.reloading import Reloader
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


class WorkerQuery(Shape):
    """Which worker is meant."""

    worker: int = 1
    """Its number."""


def fleet_site(fleet: Fleet, seen: Seen, stop: trio.Event, reloader: Reloader) -> ASGIFramework:
    """The site; it is not ready any more once `stop` is set."""

    def ready() -> bool:
        return fleet.ready and not stop.is_set()

    routes = [
        _cache_routes(fleet),
        _worker_routes(fleet),
        metrics_routes(seen.watching, reloader),
        reload_routes(reloader),
        overview_routes(seen, ready),
        alert_routes(seen.watching.alerting),
        chart_routes(seen.watching),
        diagnosis_routes(seen),
        page_routes(),
    ]
    return site_of(routes, partial(standing_of, fleet, stop))


def standing_of(fleet: Fleet, stop: trio.Event) -> Standing:
    """What /readyz says of all workers together."""
    numbers = fleet.numbers
    tiers = {tier for each in numbers for tier in each.tiers}
    named = [tier for tier in ("memory", "disk", "shared") if tier in tiers]
    tools = max((each.tools for each in numbers), default=0)
    return Standing("draining" if stop.is_set() else "ready" if fleet.ready else "warming", tools, named)


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
        return await _passed_on(fleet, f"/api/profiles/{rest}".rstrip("/"))

    @routes.get("/scaling")
    @hide
    async def scaling() -> Response:
        """What one worker has moved, `?worker=1`: each has limits of its own."""
        return await _passed_on(fleet, "/api/scaling")

    return routes


def _cache_routes(fleet: Fleet) -> Blueprint:
    """The routes under /api/cache: each does its work in every worker, but for what is one worker's."""
    routes = Blueprint("cache", __name__, url_prefix="/api/cache")

    @routes.errorhandler(GatewayError)
    async def broken(error: GatewayError) -> tuple[dict[str, str], int]:
        return {"error": str(error)}, 503

    @routes.get("/stats")
    @validate_response(Stats)
    async def stats() -> Stats:
        """Numbers of every tier, of all workers together; the file is the first one's."""
        found = [Stats.model_validate(each) for each in (await fleet.each("GET", "/api/cache/stats")).values()]
        tiers: dict[str, TierStats] = {}
        for each in found:
            for name, tier in each.tiers.items():
                tiers[name] = _added(tiers[name], tier) if name in tiers else tier
        first = found[0] if found else Stats(file=None, tiers={}, warmed=None)
        return Stats(file=first.file, tiers=tiers, warmed=first.warmed)

    @routes.get("/entries")
    @validate_querystring(EntriesQuery)
    @validate_response(Entries)
    async def entries(query_args: EntriesQuery) -> Entries:
        """A page of entries by key, of all workers: those that several have are listed once."""
        pages = (await fleet.each("GET", "/api/cache/entries", params=query_args.model_dump())).values()
        found = {each["key"]: each for page in pages for each in page["entries"]}
        keys = sorted(found)[: query_args.limit]
        more = len(found) > query_args.limit or any(page["more"] for page in pages)
        return Entries(entries=[EntryShape.model_validate(found[key]) for key in keys], more=more)

    @routes.get("/entry")
    @hide
    async def entry() -> Response:
        """One entry with its payload, from the first worker that has it."""
        answer = Response(b'{"error": "no worker serves"}', 503, mimetype="application/json")
        for worker in fleet.workers:
            if worker.serves:
                answer = await _passed_on(fleet, "/api/cache/entry", worker.number)
                if answer.status_code == 200:
                    break
        return answer

    @routes.post("/purge")
    @validate_request(PurgeRequest)
    @validate_response(PurgeAnswer)
    async def purge(data: PurgeRequest) -> PurgeAnswer:
        """Purge in every tier of every worker; answers once that is durable."""
        return PurgeAnswer(purged=await fleet.purge(data.selector, soft=data.soft))

    @routes.post("/warm")
    async def warm() -> Response:
        """Let every worker make the calls of `[warm]` now; the answer is a line of JSON for each step of any."""
        return Response(_warming(fleet), mimetype="application/x-ndjson")

    @routes.post("/verify")
    @validate_request(VerifyRequest)
    @validate_response(Verified)
    async def verify(data: VerifyRequest) -> Verified:
        """Read everything in the disk tiers of all workers, and say what was found."""
        told = await fleet.each("POST", "/api/cache/verify", json=data.model_dump())
        found = [Verified.model_validate(each) for each in told.values()]
        damaged: dict[str, int] = {}
        for each in found:
            for kind, count in each.damaged.items():
                damaged[kind] = damaged.get(kind, 0) + count
        return Verified(
            sound=all(each.sound for each in found),
            rows=sum(each.rows for each in found),
            good=sum(each.good for each in found),
            damaged=damaged,
            orphans=sum(each.orphans for each in found),
            problems=[f"worker {number}: {said}" for number, each in told.items() for said in each["problems"]],
            repaired=any(each.repaired for each in found),
        )

    @routes.get("/export")
    @hide
    async def export() -> Response:
        """The entries of one worker as a file, `?worker=1`: each has what it was asked for."""
        return await _passed_on(fleet, "/api/cache/export")

    @routes.post("/import")
    @validate_response(ImportAnswer)
    async def bring() -> ImportAnswer:
        """Put the entries of an export into the cache of every worker; the counts are the first one's."""
        body = await request.get_data()
        told = await fleet.each("POST", "/api/cache/import", content=body)
        return ImportAnswer.model_validate(next(iter(told.values())))

    return routes


async def _passed_on(fleet: Fleet, path: str, number: int | None = None) -> Response:
    """The answer of one worker to the request that is under way."""
    query = dict(request.args)
    asked = query.pop("worker", "1")
    try:
        worker = fleet.worker(number or (int(asked) if asked.isascii() and asked.isdigit() else 0))
    except GatewayError as error:
        return Response(orjson.dumps({"error": str(error)}), 404, mimetype="application/json")
    headers = {name: value for name in ("Content-Type",) if (value := request.headers.get(name))}
    content = await request.get_data()
    answer = await worker.http.request(
        request.method, path, params=query, content=content, headers=headers, timeout=None
    )
    response = Response(answer.content, answer.status_code, mimetype=answer.headers.get("content-type"))
    policy = answer.headers.get("content-security-policy")
    if policy is not None:
        response.headers["Content-Security-Policy"] = policy
    return response


async def _warming(fleet: Fleet) -> AsyncIterator[bytes]:
    """The steps of all workers, added up."""
    send, receive = trio.open_memory_channel[tuple[int, dict[str, Any]]](10)
    serving = [worker for worker in fleet.workers if worker.serves]

    async def one(number: int) -> None:
        async with send.clone() as telling:
            worker = fleet.worker(number)
            async with worker.http.stream("POST", "/api/cache/warm", timeout=None) as answer:
                async for line in answer.aiter_lines():
                    await telling.send((number, orjson.loads(line)))

    steps: dict[int, dict[str, Any]] = {}
    async with trio.open_nursery() as nursery:
        for worker in serving:
            nursery.start_soon(one, worker.number)
        send.close()
        async for number, step in receive:
            steps[number] = step
            whole = {key: sum(each[key] for each in steps.values()) for key in ("total", "done", "failed")}
            whole["failures"] = [said for each in steps.values() for said in each["failures"]][:20]
            yield orjson.dumps(whole, option=orjson.OPT_APPEND_NEWLINE)


def _added(one: TierStats, other: TierStats) -> TierStats:
    counted = ("hits", "misses", "writes", "errors", "entries", "size", "evictions")
    both = {name: getattr(one, name) + getattr(other, name) for name in counted}
    return TierStats(**both, about=one.about)
