"""`gateway grafana`: a dashboard for Grafana over the gateway's metrics."""

from __future__ import annotations

import sys

import orjson

from gateway.telemetry.grafana import dashboard


def grafana() -> int:
    """Print a Grafana dashboard of the metrics that /metrics has; import it and choose a Prometheus data source."""
    sys.stdout.write(orjson.dumps(dashboard(), option=orjson.OPT_INDENT_2).decode() + "\n")
    return 0
