"""Alerts by HTTP: what is raised, and what changed lately."""

from __future__ import annotations

from typing import Any

from quart import Blueprint

from gateway.watch.alerts.alerting import Alerting
from gateway.watch.alerts.model import Change, Severity
from gateway.watch.alerts.notifying import about, sentence


def alert_routes(alerting: Alerting) -> Blueprint:
    """`/api/alerts`."""
    routes = Blueprint("alerts", __name__)

    @routes.get("/api/alerts")
    async def alerts() -> dict[str, Any]:
        """What is raised, the worst first, and the last changes, the newest first."""
        raised = [Change(alert, Severity.OK, alert.raised_at) for alert in alerting.raised]
        return {"alerts": [told(change) for change in raised], "changes": [told(c) for c in alerting.changes]}

    return routes


def told(change: Change) -> dict[str, Any]:
    """A change as JSON."""
    alert = {"name": change.alert.name, "event": change.event, "at": change.at, "text": sentence(change)}
    return {**alert, **about(change)}
