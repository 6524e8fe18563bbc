"""What a worker is asked by its supervisor."""

from __future__ import annotations

from typing import Any

from quart import Blueprint, Response, request
from quart_schema import hide

from gateway.assembly import Gateway
from gateway.errors import TierError
from gateway.serving.workers.numbers import numbers_of
from gateway.serving.workers.worker import selector_of


def own_routes(gateway: Gateway) -> Blueprint:
    """What only the supervisor asks for: `/worker/…` of the admin site, on a socket that only it can reach."""
    routes = Blueprint("worker", __name__, url_prefix="/worker")

    @routes.get("/numbers")
    @hide
    async def numbers() -> Response:
        return Response(await numbers_of(gateway), mimetype="application/msgpack")

    @routes.post("/purge")
    @hide
    async def purge() -> tuple[dict[str, Any], int]:
        """A purge of another worker, or of the supervisor's caller."""
        told = await request.get_json()
        selector, soft = selector_of(told)
        pipeline = gateway.pipeline
        try:
            if told.get("publish"):  # to other instances; the supervisor tells the other workers
                return {"purged": await pipeline.purge(selector, soft=soft, siblings=False)}, 200
            return {"purged": await pipeline.purged_elsewhere(selector, soft)}, 200
        except TierError as error:
            return {"error": str(error)}, 503

    return routes
