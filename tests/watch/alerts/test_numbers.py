from __future__ import annotations

from typing import Any

import pytest

from gateway.profile.alerts import Alerts
from gateway.telemetry.histogram import Histogram
from gateway.telemetry.series import ProcessSample, Sample, Series, UpstreamSample
from gateway.watch.alerts.numbers import numbers, unit_of, watched

THRESHOLDS = {
    "response_time": "1s",
    "hit_rate": "50%",
    "error_rate": "50%",
    "throughput": 1,
    "memory": "1GB",
    "cpu": "50%",
    "upstream_response_time": "1s",
    "disk": "1GB",
    "shared": "1s",
    "lag": "1s",
}


def alerts(**more: Any) -> Alerts:
    return Alerts.model_validate({name: {"warning": value, **more} for name, value in THRESHOLDS.items()})


def timings(*durations: float) -> Histogram:
    histogram = Histogram()
    for duration in durations:
        histogram.record(duration)
    return histogram


def series(*samples: Sample) -> Series:
    found = Series(3600)
    for sample in samples:
        found.add(sample)
    return found


def busy(requests: int = 10, *, disk_free: int | None = 7, shared_down: float | None = 3.0) -> Sample:
    outcomes = {"hit": requests - 2, "miss": 1, "failed": 1}
    upstreams = {
        "fast": UpstreamSample(timings(*[0.25] * requests), {}),
        "slow": UpstreamSample(timings(*[2.5] * requests), {}),
    }
    process = ProcessSample(memory=5, cpu=0.5, lag=0.125, disk_free=disk_free, shared_down=shared_down)
    return Sample(0.0, 10.0, timings(*[0.5] * requests), outcomes, {}, upstreams, process)


def number(name: str, found: Series, **more: Any) -> dict[str, float | None]:
    return dict(numbers(name, getattr(alerts(**more), name), found))


def test_only_alerts_with_a_threshold_are_watched() -> None:
    """By default none is."""
    assert list(watched(Alerts())) == []
    assert set(watched(alerts())) == set(Alerts.model_fields)


@pytest.mark.parametrize("name", sorted(THRESHOLDS))
def test_nothing_is_known_before_the_first_sample(name: str) -> None:
    """No number is made up."""
    assert set(number(name, series()).values()) <= {None}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("response_time", {"": 0.5}),
        ("hit_rate", {"": 8 / 9}),
        ("error_rate", {"": 0.1}),
        ("throughput", {"": 1.0}),
        ("memory", {"": 5.0}),
        ("cpu", {"": 0.5}),
        ("upstream_response_time", {"fast": 0.25, "slow": 2.5}),
        ("disk", {"": 7.0}),
        ("shared", {"": 3.0}),
        ("lag", {"": 0.125}),
    ],
)
def test_each_number_is_what_its_alert_is_about(name: str, expected: dict[str, float]) -> None:
    """Every alert that a profile knows has one."""
    assert number(name, series(busy()), min_requests=10) == expected


@pytest.mark.parametrize("name", ["response_time", "hit_rate", "error_rate", "upstream_response_time"])
def test_few_requests_are_no_number(name: str) -> None:
    """What is about requests needs `min_requests` of them; one at least, whatever the profile says."""
    assert set(number(name, series(busy()), min_requests=11).values()) == {None}
    idle = Sample(0.0, 10.0, Histogram(), {}, {}, {}, ProcessSample())
    assert set(number(name, series(idle), min_requests=0).values()) <= {None}


@pytest.mark.parametrize("name", ["throughput", "memory", "cpu", "disk", "shared", "lag"])
def test_other_numbers_need_no_requests(name: str) -> None:
    """An idle gateway may run out of memory or of disk."""
    assert None not in number(name, series(busy()), min_requests=1000).values()


def test_no_disk_tier_has_no_room_to_run_out_of() -> None:
    """There is no number then."""
    assert number("disk", series(busy(disk_free=None))) == {"": None}


def test_no_shared_tier_is_never_out_of_reach() -> None:
    """There is no number then."""
    assert number("shared", series(busy(shared_down=None))) == {"": None}


def test_the_window_is_the_alerts_own() -> None:
    """Older samples do not count."""
    found = series(busy(), Sample(1.0, 10.0, timings(0.001), {"hit": 1}, {}, {}, ProcessSample()))
    assert number("error_rate", found, window="10s", min_requests=1) == {"": 0.0}
    assert number("error_rate", found, window="20s", min_requests=1) == {"": 1 / 11}


def test_units() -> None:
    """Each kind of threshold has its own."""
    units = {name: unit_of(section) for name, section in watched(alerts()).items()}
    assert units["lag"] == "seconds"
    assert (units["disk"], units["cpu"], units["throughput"]) == ("bytes", "ratio", "requests/s")
