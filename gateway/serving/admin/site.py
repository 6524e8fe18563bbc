"""The admin site as a Quart application on Trio."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import trio
from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope
from pydantic import ValidationError
from quart import Blueprint
from quart.json.provider import DefaultJSONProvider
from quart_schema import Info, QuartSchema, RequestSchemaValidationError
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from gateway import __version__
from gateway.assembly import Gateway
from gateway.serving.admin.alerts import alert_routes
from gateway.serving.admin.cache import cache_routes
from gateway.serving.admin.charts import chart_routes
from gateway.serving.admin.diagnosis import diagnosis_routes
from gateway.serving.admin.metrics import metrics_routes
from gateway.serving.admin.models import problem_of
from gateway.serving.admin.overview import overview_routes
from gateway.serving.admin.pages import page_routes
from gateway.serving.admin.profiles import profile_routes
from gateway.serving.admin.reload import reload_routes
from gateway.serving.admin.scaling import scaling_routes
from gateway.serving.admin.transfer import AdminRequest, reading_steadily
from gateway.serving.reloading import Reloader


def build_site(
    gateway: Gateway, stop: trio.Event, reloader: Reloader | None = None, more: Iterable[Blueprint] = ()
) -> ASGIFramework:
    """The site of `gateway`; it is not ready any more once `stop` is set. Without `reloader` it has but one profile."""

    def ready() -> bool:
        return gateway.ready and not stop.is_set()

    routes = [
        cache_routes(gateway),
        metrics_routes(gateway.watching, reloader),
        reload_routes(reloader),
        overview_routes(gateway, ready),
        alert_routes(gateway.watching.alerting),
        chart_routes(gateway.watching),
        diagnosis_routes(gateway),
        scaling_routes(gateway.watching.scaler),
        profile_routes(gateway.watching.profiler, stop),
        page_routes(),
    ]
    return site_of([*routes, *more])


def site_of(routes: Iterable[Blueprint]) -> ASGIFramework:
    """A site of these routes."""
    site = QuartTrio("gateway.serving.admin")
    site.request_class = AdminRequest
    site.config["RESPONSE_TIMEOUT"] = None  # Quart's minute cuts off an answer that is still made: warming, an export
    QuartSchema(
        site,
        info=Info(title="gateway admin API", version=__version__),
        convert_casing=False,
        swagger_ui_path=None,
        redoc_ui_path=None,
        scalar_ui_path=None,
    )
    cast("DefaultJSONProvider", site.json).sort_keys = False  # tiers and tools come in an order that says something
    for blueprint in routes:
        site.register_blueprint(blueprint)

    @site.errorhandler(RequestSchemaValidationError)
    async def refused(error: RequestSchemaValidationError) -> tuple[dict[str, str], int]:
        problem = error.validation_error
        sentence = problem_of(problem) if isinstance(problem, ValidationError) else " ".join(str(problem).split())
        return {"error": sentence}, 400

    @site.errorhandler(HTTPException)
    async def unservable(error: HTTPException) -> tuple[dict[str, str], int]:
        return {"error": error.description or error.name}, error.code or 500

    return _sending_whole(reading_steadily(cast("ASGIFramework", site)))


def _sending_whole(app: ASGIFramework) -> ASGIFramework:
    """`app`, which nothing interrupts while it sends.

    hypercorn tells an application that its answer is complete before it closes the connection, or makes it ready for
    the next request; quart-trio cancels itself at that, in the midst of it. The connection would stay open and count as
    busy, and every stop would wait for it.
    """

    async def whole(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        async def send_whole(event: ASGISendEvent) -> None:
            with trio.CancelScope(shield=True):
                await send(event)

        await app(scope, receive, send_whole)

    return cast("ASGIFramework", whole)
