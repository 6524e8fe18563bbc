"""The diagnosis and the miss-ratio curves by HTTP."""

from __future__ import annotations

from typing import Any

from quart import Blueprint
from quart_schema import validate_response

from gateway.profile.positions import KeyPath, dotted
from gateway.serving.admin.models import Shape
from gateway.serving.admin.seen import Seen
from gateway.watch.diagnosis.diagnose import diagnose, gather
from gateway.watch.diagnosis.model import Issue


class IssueShape(Shape):
    """Something that costs."""

    name: str
    """The rule that found it."""
    subject: str
    """The tier, tool or upstream; empty where it is the gateway."""
    evidence: str
    """What was seen, in numbers."""
    advice: str
    """What to do."""
    worth: float
    """From 0 to 100, how much there is to gain."""
    change: dict[str, Any]
    """The change of the profile, as tables; empty where none would help by itself."""
    now: dict[str, str]
    """Where the keys of the change are set now: file and line, a variable or `--set`; or `default`, and where the table
    is that would hold it."""


class DiagnosisAnswer(Shape):
    """What was found, the most valuable first."""

    seconds: float
    """How far it looks back."""
    issues: list[IssueShape]


class PointShape(Shape):
    """One size of a tier, and the hit rate that it would have."""

    factor: float
    """Of the present size."""
    size: int
    """Bytes."""
    hit_rate: float


class CurveShape(Shape):
    """What hit rate a tier would have at other sizes."""

    points: list[PointShape]
    accesses: int
    """Requests that it rests on; with few, it says little."""
    sampled: float
    """The share of the keys that is looked at."""


class CurvesAnswer(Shape):
    """The curves, by tier."""

    curves: dict[str, CurveShape]


def diagnosis_routes(gateway: Seen) -> Blueprint:
    """`/api/diagnosis` and `/api/curves`."""
    routes = Blueprint("diagnosis", __name__, url_prefix="/api")
    watching = gateway.watching

    @routes.get("/diagnosis")
    @validate_response(DiagnosisAnswer)
    async def issues() -> DiagnosisAnswer:
        """What costs, with evidence, and the change of the profile that would help."""
        facts = gather(gateway.profile, watching)
        found = [_shape(issue, gateway) for issue in diagnose(facts)]
        return DiagnosisAnswer(seconds=facts.window.seconds, issues=found)

    @routes.get("/curves")
    @validate_response(CurvesAnswer)
    async def curves() -> CurvesAnswer:
        """The miss-ratio curve of each tier."""
        return CurvesAnswer(
            curves={
                tier: CurveShape(
                    points=[
                        PointShape(factor=point.factor, size=point.size_bytes, hit_rate=point.hit_rate)
                        for point in curve.points
                    ],
                    accesses=curve.accesses,
                    sampled=curve.sampled,
                )
                for tier, curve in watching.gauges.curves().items()
            }
        )

    return routes


def _shape(issue: Issue, gateway: Seen) -> IssueShape:
    return IssueShape(
        name=issue.name,
        subject=issue.subject,
        evidence=issue.evidence,
        advice=issue.advice,
        worth=round(issue.worth, 1),
        change=dict(issue.change),
        now={key: _origin(path, gateway) for key, path in issue.paths.items()},
    )


def _origin(path: KeyPath, gateway: Seen) -> str:
    """Where the key is set; for one that is not, where the table is that would hold it."""
    origins = gateway.loaded.origins if gateway.loaded is not None else {}
    if path in origins:
        return origins[path].label
    above = (path[:length] for length in range(len(path) - 1, 0, -1))
    table = next((each for each in above if each in origins), None)
    return "default" if table is None else f"default ({dotted(table)} is at {origins[table].label})"
