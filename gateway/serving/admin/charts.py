"""Charts by HTTP: SVG documents for an `<img>`, drawn in a thread."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

import trio
from pydantic import Field
from quart import Blueprint, Response
from quart_schema import hide, validate_querystring

from gateway.serving.admin.models import Shape
from gateway.watch.watching import Watching

_ALONE = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""What a chart may do: pygal styles it in the document itself, and that is all."""
_DRAWING = trio.CapacityLimiter(1)
"""Drawing takes some 15 ms of Python, and requests are served by the same interpreter."""


class ChartQuery(Shape):
    """What to draw of, and on what."""

    theme: Literal["light", "dark"] = "light"
    """The page's."""
    window: Annotated[float, Field(gt=0, le=86400)] = 900.0
    """How many seconds of samples."""
    at: int = 0
    """Any number, for an address of its own: a page does not ask twice for the image of one address."""


def chart_routes(watching: Watching) -> Blueprint:
    """`/charts/NAME.svg`."""
    routes = Blueprint("charts", __name__, url_prefix="/charts")

    @routes.get("/<name>.svg")
    @hide
    @validate_querystring(ChartQuery)
    async def chart(name: str, query_args: ChartQuery) -> Response:
        from gateway.serving.admin.drawing import CHARTS, CURVES, draw, draw_curves

        if name == CURVES:
            curves = {
                tier: [(point.factor, point.hit_rate) for point in curve.points] if curve.accesses else []
                for tier, curve in watching.gauges.curves().items()
            }
            drawing = partial(draw_curves, curves, query_args.theme)
            return svg(await trio.to_thread.run_sync(drawing, limiter=_DRAWING))
        if name not in CHARTS:
            return Response(
                f"There is no chart {name[:40]}; there are {', '.join((*CHARTS, CURVES))}\n", 404, mimetype="text/plain"
            )
        samples = watching.series.window(query_args.window).samples
        drawing = partial(draw, name, samples, query_args.theme)
        return svg(await trio.to_thread.run_sync(drawing, limiter=_DRAWING))

    return routes


def svg(document: bytes) -> Response:
    """An SVG document that nothing can be done with but to look at it."""
    response = Response(document, mimetype="image/svg+xml")
    response.headers["Content-Security-Policy"] = _ALONE
    response.headers["Cache-Control"] = "no-store"
    return response
