"""The cache by HTTP: look into it, purge, warm, check, take it along. What `gateway cache` asks of a gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import asdict

import orjson
from quart import Blueprint, Response, request
from quart_schema import document_response, validate_querystring, validate_request, validate_response

from gateway.assembly import Gateway
from gateway.errors import GatewayError, TierError
from gateway.serving.admin.models import (
    Entries,
    EntriesQuery,
    EntryShape,
    EntryWithPayload,
    ImportAnswer,
    KeyQuery,
    Problem,
    PurgeAnswer,
    PurgeRequest,
    Stats,
    TierStats,
    Verified,
    VerifyRequest,
    WarmStats,
)
from gateway.serving.admin.transfer import Spool
from gateway.tiers.disk import DiskTier
from gateway.tiers.disk_export import export_to, import_from
from gateway.tiers.disk_inspect import list_entries, verify
from gateway.watch.warmer import Progress

_BEYOND_REPAIR = (
    "what a running gateway can't mend: stop it and run `gateway cache verify --repair`, which makes the file anew "
    "from what is sound in it"
)


class _NoDiskError(GatewayError):
    """Something was asked that only the disk tier can do."""


def cache_routes(gateway: Gateway) -> Blueprint:
    """The routes under /api/cache."""
    routes = Blueprint("cache", __name__, url_prefix="/api/cache")
    clock = gateway.pipeline.clock

    @routes.errorhandler(_NoDiskError)
    async def no_disk(error: _NoDiskError) -> tuple[dict[str, str], int]:
        return {"error": str(error)}, 409

    @routes.errorhandler(TierError)
    async def broken(error: TierError) -> tuple[dict[str, str], int]:
        return {"error": str(error)}, 503

    @routes.errorhandler(OSError)
    async def no_room(error: OSError) -> tuple[dict[str, str], int]:
        return {"error": f"can't keep the file on its way: {error.strerror or error}"}, 503

    def disk() -> DiskTier:
        if gateway.disk is None:
            raise _NoDiskError("this gateway runs without the disk tier (cache.disk)")
        return gateway.disk

    @routes.get("/stats")
    @validate_response(Stats)
    async def stats() -> Stats:
        """Numbers of every tier since the start."""
        last = gateway.warmer.last
        file = None if gateway.disk is None else str(gateway.profile.cache.disk.file)
        return Stats(file=file, tiers=_tiers(gateway), warmed=None if last is None else _warmed(last))

    @routes.get("/entries")
    @validate_querystring(EntriesQuery)
    @validate_response(Entries)
    async def entries(query_args: EntriesQuery) -> Entries:
        """A page of entries by key: of the disk tier, or of memory where there is no disk tier."""
        if gateway.disk is not None:
            found = await list_entries(
                gateway.disk, query_args.match, limit=query_args.limit + 1, after=query_args.after
            )
            listed = [EntryShape.of(each.key, "disk", each.entry, clock()) for each in found]
        else:
            kept = gateway.memory.entries(query_args.match, query_args.after) if gateway.memory is not None else []
            listed = [EntryShape.of(key, "memory", entry, clock()) for key, entry in kept[: query_args.limit + 1]]
        return Entries(entries=listed[: query_args.limit], more=len(listed) > query_args.limit)

    @routes.get("/entry")
    @validate_querystring(KeyQuery)
    @validate_response(EntryWithPayload)
    @document_response(Problem, 404)
    async def entry(query_args: KeyQuery) -> EntryWithPayload | tuple[dict[str, str], int]:
        """One entry with its payload, from the nearest tier that has it."""
        found, tier = (gateway.memory.peek(query_args.key) if gateway.memory is not None else None), "memory"
        if found is None and gateway.disk is not None:
            found, tier = await gateway.disk.get(query_args.key), "disk"
        if found is None:
            return {"error": f"no entry {query_args.key}"}, 404
        shape = EntryShape.of(query_args.key, tier, found, clock())
        return EntryWithPayload(**shape.model_dump(), payload=found.payload.decode("utf-8", "replace"))

    @routes.post("/purge")
    @validate_request(PurgeRequest)
    @validate_response(PurgeAnswer)
    async def purge(data: PurgeRequest) -> PurgeAnswer:
        """Purge in every tier; answers once that is durable."""
        return PurgeAnswer(purged=await gateway.pipeline.purge(data.selector, soft=data.soft))

    @routes.post("/warm")
    async def warm() -> Response:
        """Make the calls of `[warm]` now; the answer is a line of JSON for each step.

        Rounds are made one at a time: who asks while one is under way is told of that one, unless something was purged
        since it began. A client that leaves does not stop the round.
        """
        return Response(_warming(gateway), mimetype="application/x-ndjson")

    @routes.post("/verify")
    @validate_request(VerifyRequest)
    @validate_response(Verified)
    async def check(data: VerifyRequest) -> Verified:
        """Read everything in the disk tier, with requests served in between, and say what was found."""
        found = await verify(disk(), repair=data.repair, deep=False)
        advice = [_BEYOND_REPAIR] if data.repair and found.problems else []
        return Verified(
            sound=found.sound,
            rows=found.rows,
            good=found.good,
            damaged=dict(found.damaged),
            orphans=found.orphans,
            problems=[*found.problems, *advice],
            repaired=found.repaired,
        )

    @routes.get("/export")
    async def take_along() -> Response:
        """Every usable entry of the disk tier as a file, for `import` elsewhere."""
        tier = disk()
        if request.method == "HEAD":  # nobody would read what is written for it
            return Response(b"", mimetype="application/octet-stream")
        spool = Spool()
        await export_to(tier, spool.file)
        return Response(spool.chunks(), mimetype="application/octet-stream")

    @routes.post("/import")
    @validate_response(ImportAnswer)
    @document_response(Problem, 400)
    async def bring() -> ImportAnswer | tuple[dict[str, str], int]:
        """Put the entries of an export into the cache, none of them fresher than it was; the body is the file."""
        tier = disk()
        spool = Spool()
        async for chunk in request.body:
            await spool.write(chunk)
        try:
            imported = await import_from(tier, spool.file, "the file")
        except TierError as error:
            return {"error": str(error)}, 400
        return ImportAnswer(**asdict(imported))

    return routes


async def _warming(gateway: Gateway) -> AsyncIterator[bytes]:
    async with aclosing(gateway.warmer.steps()) as steps:
        async for progress in steps:
            yield orjson.dumps(progress, option=orjson.OPT_APPEND_NEWLINE)


def _warmed(progress: Progress) -> WarmStats:
    return WarmStats(total=progress.total, done=progress.done, failed=progress.failed, failures=list(progress.failures))


def _tiers(gateway: Gateway) -> dict[str, TierStats]:
    tiers: dict[str, TierStats] = {}
    if gateway.memory is not None:
        about = asdict(gateway.memory.statistics())
        tiers["memory"] = TierStats(
            **asdict(gateway.memory.meter),
            entries=about["entries"],
            size=about["size"],
            evictions=about["evictions"],
            about={name: value for name, value in about["eviction"].items() if name not in ("entries", "cost")},
        )
    for tier in gateway.pipeline.lower:
        if gateway.disk is not None and tier.tier is gateway.disk:
            about = asdict(gateway.disk.statistics())
            tiers[tier.name] = TierStats(
                **asdict(tier.meter),
                entries=about.pop("entries"),
                size=about.pop("bytes_used"),
                evictions=about.pop("evicted"),
                about=about,
            )
        elif (
            gateway.shared is not None and tier is gateway.shared.leases.metered
        ):  # how much it holds, the engine knows
            about = asdict(gateway.shared.tier.statistics())
            tiers[tier.name] = TierStats(**asdict(tier.meter), entries=0, size=0, evictions=0, about=about)
    return tiers
