"""Whether a load test has passed: the profile's alerts are the thresholds. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.loading.result import Result
from gateway.profile.alerts import Alerts, DurationAlert, RatioAlert
from gateway.profile.units import format_duration, format_ratio


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether it passed, and a sentence on it."""

    passed: bool
    summary: str


def verdict(result: Result, alerts: Alerts, *, cut_short: bool) -> Verdict:
    """Judge p95 by `alerts.response_time` and failures by `alerts.error_rate`: at or above `critical` is too bad.

    Where there is no `critical`, `warning` counts. A run that was cut short, or in which nothing succeeded, has not
    passed whatever they say.
    """
    whole = result.all
    broken = list(_broken(result, alerts))
    if not whole.succeeded:
        broken.insert(0, "nothing succeeded")
    passed = not broken and not cut_short
    numbers = (
        f"{whole.requests} requests in {result.seconds:.4g} s, {result.rate:.4g} requests/s, "
        f"{_percent(whole.success_rate)} succeeded, p95 {spelled(whole.latency.p95)}"
    )
    word = "cut short" if cut_short else "passed" if passed else "FAILED"
    return Verdict(passed, "; ".join([f"{word}: {numbers}", *broken]))


def _broken(result: Result, alerts: Alerts) -> Iterator[str]:
    whole = result.all
    if not whole.requests:
        return
    key, limit = _threshold("response_time", alerts.response_time)
    if limit is not None and whole.latency.p95 >= limit:
        yield f"p95 is {spelled(whole.latency.p95)}, at or above {format_duration(limit)} ({key})"
    key, limit = _threshold("error_rate", alerts.error_rate)
    failed = whole.failed / whole.requests
    if limit is not None and failed >= limit:
        yield f"{_percent(failed)} failed, at or above {format_ratio(limit)} ({key})"


def _threshold(name: str, alert: DurationAlert | RatioAlert) -> tuple[str, float | None]:
    if alert.critical is not None:
        return f"alerts.{name}.critical", alert.critical
    return f"alerts.{name}.warning", alert.warning


def _percent(share: float) -> str:
    return f"{share * 100:.4g}%"


def spelled(seconds: float) -> str:
    """A duration for people, to three digits."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.3g} us"
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.4g} s"
