"""The cache of several workers by HTTP: each route does its work in every worker, but for what is one worker's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import trio
from quart import Blueprint, Response, request
from quart_schema import hide, validate_querystring, validate_request, validate_response

from gateway.errors import GatewayError
from gateway.serving.admin.models import (
    Entries,
    EntriesQuery,
    EntryShape,
    ImportAnswer,
    PurgeAnswer,
    PurgeRequest,
    Stats,
    TierStats,
    Verified,
    VerifyRequest,
)
from gateway.serving.workers.fleet import Fleet


def cache_routes(fleet: Fleet) -> Blueprint:
    """The routes under /api/cache."""
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
                answer = await passed_on(fleet, "/api/cache/entry", worker.number)
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
        return await passed_on(fleet, "/api/cache/export")

    @routes.post("/import")
    @validate_response(ImportAnswer)
    async def bring() -> ImportAnswer:
        """Put the entries of an export into the cache of every worker; the counts are the first one's."""
        body = await request.get_data()
        told = await fleet.each("POST", "/api/cache/import", content=body)
        return ImportAnswer.model_validate(next(iter(told.values())))

    return routes


async def passed_on(fleet: Fleet, path: str, number: int | None = None) -> Response:
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
