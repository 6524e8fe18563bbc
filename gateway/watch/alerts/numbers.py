"""The number that each alert is about, from the samples of its window."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import assert_never

from gateway.profile.alerts import Alert, Alerts, DurationAlert, RateAlert, RatioAlert, SizeAlert
from gateway.telemetry.series import Series, Window
from gateway.watch.alerts.model import Unit

AnyAlert = DurationAlert | SizeAlert | RatioAlert | RateAlert


def watched(alerts: Alerts) -> Mapping[str, AnyAlert]:
    """The alerts that have a threshold, by name."""
    every = {name: getattr(alerts, name) for name in type(alerts).model_fields}
    return {name: each for name, each in every.items() if each.warning is not None or each.critical is not None}


def numbers(name: str, alert: Alert, series: Series) -> Iterator[tuple[str, float | None]]:
    """The number of an alert, for each of its subjects; None where there is too little to judge it by."""
    window = series.window(alert.window)
    match name:
        case "upstream_response_time":
            names = {upstream for sample in window.samples for upstream in sample.upstreams}
            for upstream in sorted(names):
                timings = window.upstream(upstream)
                yield upstream, timings.percentile(0.95) if timings.count >= max(1, alert.min_requests) else None
        case _:
            yield "", _number(name, alert, window)


def unit_of(alert: AnyAlert) -> Unit:
    """What the alert's thresholds and its number are counted in."""
    match alert:
        case DurationAlert():
            return "seconds"
        case SizeAlert():
            return "bytes"
        case RatioAlert():
            return "ratio"
        case RateAlert():
            return "requests/s"
        case _:
            assert_never(alert)


def _number(name: str, alert: Alert, window: Window) -> float | None:
    last = window.last
    if last is None:
        return None
    match name:
        case "memory":
            return float(last.process.memory)
        case "cpu":
            return window.cpu
        case "disk":
            return None if last.process.disk_free is None else float(last.process.disk_free)
        case "shared":
            return last.process.shared_down
        case "lag":
            return window.lag
        case "throughput":
            return window.throughput
    if sum(window.outcomes.values()) < max(1, alert.min_requests):
        return None
    match name:
        case "response_time":
            return window.requests.percentile(0.95)
        case "hit_rate":
            return window.hit_rate
        case "error_rate":
            return window.error_rate
        case _:
            raise AssertionError(f"no number for alerts.{name}")
