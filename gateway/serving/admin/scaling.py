"""What is scaled, by HTTP: each limit with its bounds and load, the last steps, and what was refused."""

from __future__ import annotations

from typing import Literal

from quart import Blueprint
from quart_schema import validate_response

from gateway.serving.admin.models import Shape
from gateway.watch.scaling.model import SIZES
from gateway.watch.scaling.scaler import Scaler


class LimitShape(Shape):
    """A limit that is moved within its bounds: bytes of a tier, else how many at once."""

    key: str
    """The line of the profile that it starts from."""
    unit: Literal["bytes", "count"]
    value: int
    start: int
    """What the profile says."""
    least: int
    most: int
    load: float | None
    """From 0 to 1, at the last look; null before the first."""
    evidence: str
    refusal: str
    """Why it does not grow, where load would have it grow; else empty."""


class StepShape(Shape):
    """A limit was moved."""

    at: float
    """Seconds since the epoch."""
    key: str
    unit: Literal["bytes", "count"]
    before: int
    after: int
    reason: str


class ScalingAnswer(Shape):
    """How `[scaling]` stands."""

    enabled: bool
    budget: int
    """Bytes of resident memory that no growth may lead to."""
    budget_key: str
    limits: list[LimitShape]
    steps: list[StepShape]
    """The last ones, the newest first."""


def scaling_routes(scaler: Scaler) -> Blueprint:
    """`/api/scaling`."""
    routes = Blueprint("scaling", __name__)

    @routes.get("/api/scaling")
    @validate_response(ScalingAnswer)
    async def scaling() -> ScalingAnswer:
        """What is scaled, how loaded it is, and what was moved lately and why."""
        return scaling_answer(scaler)

    return routes


def scaling_answer(scaler: Scaler) -> ScalingAnswer:
    """How scaling stands."""
    seen = {reading.key: reading for reading in scaler.readings}
    refusals = scaler.scaled.refusals if scaler.section.enabled else {}
    budget, key = scaler.budget
    return ScalingAnswer(
        enabled=scaler.section.enabled,
        budget=budget,
        budget_key=key,
        limits=[
            LimitShape(
                key=lever.key,
                unit=_unit(lever.kind),
                value=lever.value,
                start=lever.start,
                least=lever.least,
                most=lever.most,
                load=seen[lever.key].load if lever.key in seen else None,
                evidence=seen[lever.key].evidence if lever.key in seen else "",
                refusal=refusals[lever.key].reason if lever.key in refusals else "",
            )
            for lever in scaler.moved
        ],
        steps=[
            StepShape(
                at=done.at,
                key=done.step.key,
                unit=_unit(done.step.kind),
                before=done.step.before,
                after=done.step.after,
                reason=done.step.reason,
            )
            for done in scaler.scaled.steps
        ],
    )


def _unit(kind: str) -> Literal["bytes", "count"]:
    return "bytes" if kind in SIZES else "count"
