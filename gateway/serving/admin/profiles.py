"""CPU profiles by HTTP: record one, look at it, take it along."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from functools import partial
from typing import Annotated, Literal

import trio
from pydantic import Field
from quart import Blueprint, Response
from quart_schema import document_response, hide, validate_querystring, validate_request, validate_response

from gateway.serving.admin.charts import svg
from gateway.serving.admin.models import Problem, Shape
from gateway.watch.profiling.profile import Profile
from gateway.watch.profiling.profiler import ProfilerBusy, ProfilerRange, ProfilerUnavailable, StackProfiler

_DRAWING = trio.CapacityLimiter(1)
"""A profile of thousands of stacks takes seconds to draw."""
_KEPT = 5
"""Profiles that are kept; the oldest goes."""


class RecordRequest(Shape):
    """How long to look, and how often."""

    seconds: Annotated[float, Field(ge=0.1, le=300)] = 10.0
    """For how long."""
    interval: Annotated[float, Field(ge=0.001, le=1)] = 0.01
    """Seconds of processor time between two looks."""
    idle: bool = False
    """Whether threads that wait are in it, too."""


class RecordAnswer(Shape):
    """A profile that was recorded."""

    id: int
    """Of its flame graph, `/api/profiles/ID.svg`, and `/api/profiles/ID.speedscope.json`."""
    seconds: float
    cpu: float
    """Seconds of processor time that the process used meanwhile."""
    samples: int
    busy: float
    """The share of one core that it used."""
    overhead: float
    """The share of its processor time that looking took."""
    top: list[tuple[str, float]]
    """The functions that took the most time themselves, and their share of it."""


class FlameQuery(Shape):
    """On what it is drawn."""

    theme: Literal["light", "dark", "auto"] = "auto"
    """The page's; auto follows the system."""


def profile_routes(profiler: StackProfiler, stop: trio.Event) -> Blueprint:
    """The routes under /api/profiles; a recording ends when `stop` is set."""
    routes = Blueprint("profiles", __name__, url_prefix="/api/profiles")
    kept: OrderedDict[int, Profile] = OrderedDict()
    numbers = itertools.count(1)

    @routes.errorhandler(ProfilerBusy)
    async def busy(error: ProfilerBusy) -> tuple[dict[str, str], int]:
        return {"error": str(error)}, 409

    @routes.errorhandler(ProfilerRange)
    async def out_of_range(error: ProfilerRange) -> tuple[dict[str, str], int]:
        return {"error": str(error)}, 400

    @routes.errorhandler(ProfilerUnavailable)
    async def unavailable(error: ProfilerUnavailable) -> tuple[dict[str, str], int]:
        return {"error": str(error)}, 503

    @routes.post("")
    @validate_request(RecordRequest)
    @validate_response(RecordAnswer)
    @document_response(Problem, 409)
    async def record(data: RecordRequest) -> RecordAnswer:
        """Look at all threads for a while; answers when that is over. One at a time."""
        profile = await _unless_stopped(profiler, data, stop)
        number = next(numbers)
        kept[number] = profile
        while len(kept) > _KEPT:
            kept.popitem(last=False)
        summary = profile.summary
        return RecordAnswer(
            id=number,
            seconds=summary.seconds,
            cpu=summary.cpu,
            samples=summary.samples,
            busy=summary.cpu / summary.seconds,
            overhead=summary.overhead,
            top=list(summary.top),
        )

    @routes.get("/<int:number>.svg")
    @hide
    @validate_querystring(FlameQuery)
    async def flame(number: int, query_args: FlameQuery) -> Response | tuple[dict[str, str], int]:
        found = kept.get(number)
        if found is None:
            return _gone(number)
        drawing = partial(found.flame_svg, query_args.theme)
        return svg(await trio.to_thread.run_sync(drawing, limiter=_DRAWING))

    @routes.get("/<int:number>.speedscope.json")
    @hide
    async def take_along(number: int) -> Response | tuple[dict[str, str], int]:
        found = kept.get(number)
        if found is None:
            return _gone(number)
        return Response(await trio.to_thread.run_sync(found.speedscope, limiter=_DRAWING), mimetype="application/json")

    return routes


async def _unless_stopped(profiler: StackProfiler, asked: RecordRequest, stop: trio.Event) -> Profile:
    """A profile; raises ProfilerUnavailable when the gateway stops meanwhile, which nobody should have to wait for."""
    profile: list[Profile] = []
    async with trio.open_nursery() as nursery:

        async def give_up() -> None:
            await stop.wait()
            nursery.cancel_scope.cancel()

        nursery.start_soon(give_up)
        profile.append(await profiler.record(asked.seconds, asked.interval, idle=asked.idle))
        nursery.cancel_scope.cancel()
    if not profile:
        raise ProfilerUnavailable("the gateway stops, and the profile with it")
    return profile[0]


def _gone(number: int) -> tuple[dict[str, str], int]:
    return {"error": f"there is no profile {number}: the last {_KEPT} are kept"}, 404
