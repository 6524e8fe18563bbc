"""Alerts by HTTP: what is raised, and what changed lately."""

from __future__ import annotations

from typing import Literal, Self

from quart import Blueprint
from quart_schema import validate_response

from gateway.serving.admin.models import Shape
from gateway.watch.alerts.alerting import Alerting
from gateway.watch.alerts.model import Change, Severity, Unit
from gateway.watch.alerts.notifying import about, sentence


class AlertShape(Shape):
    """An alert that is raised, or was."""

    name: str
    """As the profile has it: `alerts.NAME`."""
    subject: str
    """The upstream that it is about; empty where it is about the gateway."""
    severity: Literal["ok", "warning", "critical"]
    value: float
    """The number, when it was last looked at."""
    threshold: float
    unit: Unit
    key: str
    """The line of the profile that decides it."""
    text: str
    """All that in a sentence."""


class ActiveAlert(AlertShape):
    """An alert that is raised now."""

    raised_at: float
    """When, with this severity; seconds since the epoch."""

    @classmethod
    def of(cls, change: Change) -> Self:
        """The shape of the alert that `change` raised."""
        return cls.model_validate({**_about(change), "raised_at": change.alert.raised_at})


class AlertChange(AlertShape):
    """An alert was raised, changed its severity, or was cleared."""

    event: Literal["raised", "worsened", "eased", "cleared"]
    before: Literal["ok", "warning", "critical"]
    at: float
    """When; seconds since the epoch."""

    @classmethod
    def of(cls, change: Change) -> Self:
        """The shape of `change`."""
        return cls.model_validate(
            {**_about(change), "event": change.event, "before": change.before.word, "at": change.at}
        )


class AlertsAnswer(Shape):
    """How the numbers of `[alerts]` stand."""

    alerts: list[ActiveAlert]
    """What is raised, the worst and oldest first."""
    changes: list[AlertChange]
    """The last changes, the newest first."""


def alert_routes(alerting: Alerting) -> Blueprint:
    """`/api/alerts`."""
    routes = Blueprint("alerts", __name__)

    @routes.get("/api/alerts")
    @validate_response(AlertsAnswer)
    async def alerts() -> AlertsAnswer:
        """What is raised now, and what changed lately."""
        raised = [ActiveAlert.of(Change(alert, Severity.OK, alert.raised_at)) for alert in alerting.raised]
        return AlertsAnswer(alerts=raised, changes=[AlertChange.of(change) for change in alerting.changes])

    return routes


def _about(change: Change) -> dict[str, object]:
    said = about(change)
    shared = {name: said[name] for name in ("severity", "value", "threshold", "unit", "key")}
    return {"name": change.alert.name, "subject": change.alert.subject, "text": sentence(change), **shared}
