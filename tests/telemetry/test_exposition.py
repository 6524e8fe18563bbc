from __future__ import annotations

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from gateway.telemetry.exposition import as_json, exposed
from gateway.telemetry.histogram import EXPOSED
from gateway.telemetry.metrics import Counts, Metric, Timings

HOSTILE = 'a"b\\c\nd{e}'
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def families() -> list[Metric]:
    timings = Timings("t_seconds", "How long", "tool")
    for duration in (0.0007, 0.003, 200.0):
        timings.of(HOSTILE).record(duration)
    counts = Counts("c_things", "How many", "kind")
    counts.add("a", by=3)
    return [timings.metric(), counts.metric(), Metric("g_bytes", "How large", "gauge", (), {(): 5.0})]


@pytest.mark.parametrize("accept", ["", "text/plain", "application/json", "garbage;;;,,"])
def test_prometheus_is_what_others_get(accept: str) -> None:
    """Each family as its kind has it, whatever is in a label's value."""
    body, content_type = exposed(families(), accept)
    assert content_type.startswith("text/plain")
    read = {family.name: family for family in prometheus(body.decode())}
    buckets = {
        sample.labels["le"]: sample.value for sample in read["t_seconds"].samples if sample.name == "t_seconds_bucket"
    }
    assert len(buckets) == len(EXPOSED) + 1
    assert [buckets[bound] for bound in ("0.0005", "0.001", "0.005", "50.0", "+Inf")] == [0, 1, 2, 2, 3]
    values = {sample.name: sample for family in read.values() for sample in family.samples}
    assert values["t_seconds_count"].value == 3
    assert values["t_seconds_sum"].value == pytest.approx(200.0037)
    assert values["t_seconds_sum"].labels == {"tool": HOSTILE}
    assert (values["c_things_total"].value, values["g_bytes"].value) == (3, 5)


def test_openmetrics_where_it_is_asked_for() -> None:
    """Read by the strict parser of that format."""
    body, content_type = exposed(families(), OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text")
    read = openmetrics(body.decode())  # type: ignore[no-untyped-call]  # the library does not type it
    assert {family.name: family.type for family in read} == {
        "t_seconds": "histogram",
        "c_things": "counter",
        "g_bytes": "gauge",
    }


def test_json_has_the_numbers_of_a_timing() -> None:
    """Count, sum, mean, ends and percentiles; one value for the others."""
    told = as_json(families())
    (timing,) = told["t_seconds"]["samples"]
    assert timing["labels"] == {"tool": HOSTILE}
    assert (timing["count"], timing["min"], timing["max"]) == (3, 0.0007, 200.0)
    assert {"sum", "mean", "p50", "p95", "p99"} <= set(timing)
    assert told["c_things"] == {
        "help": "How many",
        "kind": "counter",
        "samples": [{"labels": {"kind": "a"}, "value": 3}],
    }


def test_a_family_without_samples_is_told_all_the_same() -> None:
    """So that a scraper knows of it before anything happened."""
    body, _ = exposed([Timings("t_seconds", "How long", "tool").metric()], "")
    assert "# TYPE t_seconds histogram" in body.decode()
