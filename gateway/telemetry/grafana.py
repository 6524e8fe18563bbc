"""A dashboard for Grafana (its JSON model, schema version 39) over what `/metrics` tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_WIDTH, _HEIGHT = 12, 8
_SOURCE = {"type": "prometheus", "uid": "${source}"}
_SELECTED = 'instance=~"$instance"'
_ASKED = f'kind!="list",{_SELECTED}'


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart: queries by their legends."""

    title: str
    unit: str
    queries: dict[str, str]
    description: str = ""


def _percentile(share: float, metric: str, by: str = "", which: str = _SELECTED) -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{{{which}}}[$__rate_interval])))"


def _rate(metric: str, which: str = _SELECTED, by: str = "") -> str:
    grouped = f"sum by ({by})" if by else "sum"
    return f"{grouped} (rate({metric}{{{which}}}[$__rate_interval]))"


def _share(part: str, whole: str) -> str:
    return f"{part} / ({whole} > 0)"


PANELS = (
    Panel("Requests by outcome", "reqps", {"{{outcome}}": _rate("gateway_request_seconds_count", _ASKED, "outcome")}),
    Panel(
        "Response time",
        "s",
        {
            f"p{share * 100:g}": _percentile(share, "gateway_request_seconds", which=_ASKED)
            for share in (0.5, 0.95, 0.99)
        },
    ),
    Panel(
        "Hit rate",
        "percentunit",
        {
            "all tiers": _share(
                _rate("gateway_request_seconds_count", f'outcome=~"hit|stale",{_ASKED}'),
                _rate("gateway_request_seconds_count", f'outcome=~"hit|stale|miss",{_ASKED}'),
            ),
            "{{tier}}": _share(
                _rate("gateway_tier_seconds_count", f'operation="read",outcome="hit",{_SELECTED}', "tier"),
                _rate("gateway_tier_seconds_count", f'operation="read",{_SELECTED}', "tier"),
            ),
        },
    ),
    Panel(
        "Errors",
        "percentunit",
        {
            "failed": _share(
                _rate("gateway_request_seconds_count", f'outcome=~"failed|crashed",{_ASKED}'),
                _rate("gateway_request_seconds_count", _ASKED),
            )
        },
    ),
    Panel(
        "Calls by tool",
        "reqps",
        {"{{name}}": _rate("gateway_request_seconds_count", f'kind="tool",{_SELECTED}', "name")},
    ),
    Panel(
        "Tools, p95",
        "s",
        {"{{name}}": _percentile(0.95, "gateway_request_seconds", "name", f'kind="tool",{_SELECTED}')},
    ),
    Panel("Upstreams, p95", "s", {"{{upstream}}": _percentile(0.95, "gateway_upstream_seconds", "upstream")}),
    Panel(
        "Upstreams by outcome",
        "reqps",
        {"{{upstream}} {{outcome}}": _rate("gateway_upstream_seconds_count", by="upstream, outcome")},
    ),
    Panel(
        "Retries and hedges",
        "percentunit",
        {
            "{{upstream}}": _share(
                _rate("gateway_upstream_extra_requests_total", by="upstream"),
                _rate("gateway_upstream_requests_total", by="upstream"),
            )
        },
        "Of the requests sent for callers; `retry_budget` bounds it",
    ),
    Panel(
        "Waiting for a slot or a token",
        "short",
        {"{{upstream}}": f"gateway_upstream_queued{{{_SELECTED}}} + gateway_upstream_throttled{{{_SELECTED}}}"},
    ),
    Panel(
        "Tiers, p95 of a read",
        "s",
        {"{{tier}}": _percentile(0.95, "gateway_tier_seconds", "tier", f'operation="read",{_SELECTED}')},
    ),
    Panel(
        "Tiers, how full",
        "percentunit",
        {"{{tier}}": f"gateway_tier_size_bytes{{{_SELECTED}}} / gateway_tier_limit_bytes{{{_SELECTED}}}"},
    ),
    Panel("Evictions", "ops", {"{{tier}}": _rate("gateway_tier_evictions_total", by="tier")}),
    Panel("Memory", "bytes", {"{{instance}}": f"gateway_process_memory_bytes{{{_SELECTED}}}"}),
    Panel(
        "CPU",
        "percentunit",
        {"{{instance}}": f"rate(gateway_process_cpu_seconds_total{{{_SELECTED}}}[$__rate_interval])"},
    ),
    Panel("Event loop lag, p99", "s", {"lag": _percentile(0.99, "gateway_loop_lag_seconds")}),
    Panel(
        "Alerts",
        "short",
        {"{{alert}} {{subject}}": f"gateway_alert_severity{{{_SELECTED}}} > 0"},
        "1 is a warning, 2 critical",
    ),
)
"""What is shown, in this order."""


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    return {
        "title": "gateway",
        "uid": "gateway-overview",
        "schemaVersion": 39,
        "tags": ["gateway", "mcp"],
        "timezone": "browser",
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [_data_source(), _instances()]},
        "panels": [_panel(number, panel) for number, panel in enumerate(PANELS)],
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    place = {"x": number % 2 * _WIDTH, "y": number // 2 * _HEIGHT, "w": _WIDTH, "h": _HEIGHT}
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + index), "expr": query, "legendFormat": legend, "datasource": _SOURCE}
            for index, (legend, query) in enumerate(panel.queries.items())
        ],
    }


def _data_source() -> dict[str, Any]:
    return {"name": "source", "type": "datasource", "query": "prometheus", "label": "Data source"}


def _instances() -> dict[str, Any]:
    return {
        "name": "instance",
        "type": "query",
        "label": "Instance",
        "datasource": _SOURCE,
        "query": "label_values(gateway_info, instance)",
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "refresh": 2,
    }
