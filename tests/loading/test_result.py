from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.loading.model import TIMEOUT, Reply
from gateway.loading.result import Result, result_of
from gateway.loading.tally import Tally
from gateway.loading.verdict import verdict
from gateway.profile.alerts import Alerts


def result(latencies: list[float], failures: dict[str, int] | None = None) -> Result:
    """Successes that took so long, and failures of these kinds, in ten seconds."""
    tally = Tally()
    for number, seconds in enumerate(latencies):
        tally.count("t", number % 10, seconds, Reply(100))
    for kind, times in (failures or {}).items():
        for _ in range(times):
            tally.count("other", 0.0, 0.5, Reply(10, kind, f"about {kind}\x1b"))
    return result_of(tally, 10.0)


def alerts(**more: Any) -> Alerts:
    return Alerts.model_validate(more)


def test_numbers() -> None:
    """Counts, rates, bytes, percentiles, by tool and by second, and all of it as JSON."""
    found = result([0.01] * 90 + [0.2] * 10, {"HTTP 503": 3, "timeout": 2})
    assert (found.all.requests, found.all.succeeded, found.all.failed) == (105, 100, 5)
    assert found.all.success_rate == pytest.approx(100 / 105)
    assert found.rate == 10.0
    assert found.all.size == 100 * 100 + 5 * 10
    assert found.all.latency.p50 == pytest.approx(0.01, rel=0.15)
    assert found.all.latency.p95 == pytest.approx(0.2, rel=0.15)
    assert found.errors == {"HTTP 503": 3, "timeout": 2}
    assert found.details["timeout"] == "about timeout?"
    assert (found.tools["t"].failed, found.tools["other"].failed) == (0, 5)
    assert [second.succeeded for second in found.timeline] == [10] * 10
    assert sum(bucket.count for bucket in found.histogram) == 102
    document = orjson.loads(orjson.dumps(found.as_json()))
    assert document["requests_per_second"] == 10.0
    assert document["latency"]["p99_9"] == pytest.approx(0.5, rel=0.15)


def test_quick_errors_are_no_latency() -> None:
    """A refusal says nothing of how quick the server is; what waited in vain does."""
    assert result([], {"HTTP 503": 5}).all.latency.max == 0
    assert result([], {TIMEOUT: 5}).all.latency.max == 0.5


def test_nothing_at_all() -> None:
    """A run without a request has numbers, and has not passed."""
    found = result_of(Tally(), 0.0)
    assert (found.rate, found.all.success_rate, found.histogram) == (0.0, 0.0, [])
    assert not verdict(found, alerts(), cut_short=False).passed


@pytest.mark.parametrize(
    ("section", "passed", "key"),
    [
        ({}, True, ""),
        ({"response_time": {"warning": "100ms", "critical": "500ms"}}, True, ""),
        ({"response_time": {"warning": "100ms"}}, False, "alerts.response_time.warning"),
        ({"response_time": {"critical": "100ms"}}, False, "alerts.response_time.critical"),
        ({"error_rate": {"warning": "1%", "critical": "5%"}}, True, ""),
        ({"error_rate": {"warning": "1%", "critical": "2%"}}, False, "alerts.error_rate.critical"),
        ({"error_rate": {"warning": "2%"}}, False, "alerts.error_rate.warning"),
        ({"hit_rate": {"warning": "99%"}, "throughput": {"critical": 1}, "lag": {"critical": "1ms"}}, True, ""),
    ],
)
def test_thresholds(section: dict[str, Any], passed: bool, key: str) -> None:
    """p95 and failures at or above critical, or warning where there is no critical, fail it, and the key is named."""
    judged = verdict(result([0.2] * 98, {"HTTP 503": 2}), alerts(**section), cut_short=False)
    assert judged.passed is passed
    assert judged.summary.startswith("passed: 100 requests" if passed else "FAILED: 100 requests")
    assert f"({key})" in judged.summary or passed


def test_cut_short() -> None:
    """A run that was cut short has not passed, however well it went."""
    judged = verdict(result([0.01] * 10), alerts(), cut_short=True)
    assert not judged.passed
    assert judged.summary.startswith("cut short: 10 requests in 10 s, 1 requests/s, 100% succeeded, p95 10 ms")


def test_nothing_succeeded() -> None:
    """Where nothing succeeds, no threshold is needed."""
    judged = verdict(result([], {"timeout": 3}), alerts(), cut_short=False)
    assert not judged.passed
    assert "nothing succeeded" in judged.summary
