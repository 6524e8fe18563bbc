"""What is wrong with alerts and that no section can see alone: thresholds in the wrong order, windows out of reach."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.profile.alerts import LOW_IS_BAD, Alert, DurationAlert, RateAlert, RatioAlert, SizeAlert
from gateway.profile.faults import Finding, shown
from gateway.profile.profile import Profile
from gateway.profile.units import format_duration, format_ratio, format_size


def alert_faults(profile: Profile) -> Iterator[Finding]:
    """Every fault of every alert."""
    metrics = profile.metrics
    for name in type(profile.alerts).model_fields:
        alert: DurationAlert | SizeAlert | RatioAlert | RateAlert = getattr(profile.alerts, name)
        if alert.warning is None and alert.critical is None:
            yield from _useless(name, alert)
            continue
        yield from _order(name, alert)
        if not metrics.interval <= alert.window <= metrics.history:
            shortest, longest = format_duration(metrics.interval), format_duration(metrics.history)
            bounds = f"metrics.interval ({shortest}) to metrics.history ({longest})"
            yield Finding(("alerts", name, "window"), f"a window of {bounds}", shown(format_duration(alert.window)))


def _useless(name: str, alert: Alert) -> Iterator[Finding]:
    fields = type(alert).model_fields
    own = sorted(name for name in alert.model_fields_set if getattr(alert, name) != fields[name].default)
    if own:  # what only repeats a default, as `gateway show` prints it, says nothing
        keys = " and ".join(own)
        yield Finding(("alerts", name), "warning or critical, without which nothing is raised", f"{keys} alone")


def _order(name: str, alert: DurationAlert | SizeAlert | RatioAlert | RateAlert) -> Iterator[Finding]:
    if alert.warning is None or alert.critical is None:
        return
    low = name in LOW_IS_BAD
    if (alert.warning < alert.critical) if low else (alert.warning > alert.critical):
        bound = "at least" if low else "at most"
        critical = _spelled(alert, alert.critical)
        expected = f"a warning of {bound} the critical {critical}, which it is to come before"
        yield Finding(("alerts", name, "warning"), expected, _spelled(alert, alert.warning))


def _spelled(alert: DurationAlert | SizeAlert | RatioAlert | RateAlert, value: float) -> str:
    match alert:
        case DurationAlert():
            return shown(format_duration(value))
        case SizeAlert():
            return shown(format_size(int(value)))
        case RatioAlert():
            return shown(format_ratio(value))
        case RateAlert():
            return str(value)
