"""Metrics as they leave the process: for Prometheus, in OpenMetrics, as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import choose_encoder

from gateway.telemetry.histogram import EXPOSED, Histogram
from gateway.telemetry.metrics import Metric


def kept(metrics: Iterable[Metric]) -> list[Metric]:
    """The metrics as they are now, to be written in another thread while requests go on."""
    return [
        replace(
            metric,
            samples={
                labels: value.copy() if isinstance(value, Histogram) else value
                for labels, value in metric.samples.items()
            },
        )
        for metric in metrics
    ]


def exposed(metrics: Iterable[Metric], accept: str) -> tuple[bytes, str]:
    """The metrics for a scraper, and their Content-Type: OpenMetrics where `accept` asks for it, else Prometheus.

    Sources: prometheus.io/docs/instrumenting/exposition_formats and the OpenMetrics specification 1.0.
    """
    registry = CollectorRegistry()
    registry.register(_Collected(list(metrics)))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def as_json(metrics: Iterable[Metric]) -> dict[str, Any]:
    """The metrics by name; each sample has its labels and a value, or the numbers of a timing in seconds."""
    return {
        metric.name: {
            "help": metric.help,
            "kind": metric.kind,
            "samples": [
                {"labels": dict(zip(metric.labels, labels, strict=True)), **_numbers(value)}
                for labels, value in sorted(metric.samples.items())
            ],
        }
        for metric in metrics
    }


class _Collected:
    """What `prometheus_client` asks of a collector."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Family]:
        """Each family, with the names and suffixes of its kind."""
        for metric in self._metrics:
            yield _family(metric)


def _family(metric: Metric) -> Family:
    name, about, labels = metric.name, metric.help, metric.labels
    if metric.kind == "histogram":
        histograms = HistogramMetricFamily(name, about, labels=labels)
        for values, histogram in metric.samples.items():
            assert isinstance(histogram, Histogram)  # noqa: S101  # what its kind says
            histograms.add_metric(values, _buckets(histogram), sum_value=histogram.sum)
        return histograms
    family: CounterMetricFamily | GaugeMetricFamily = (
        CounterMetricFamily(name, about, labels=labels)
        if metric.kind == "counter"
        else GaugeMetricFamily(name, about, labels=labels)
    )
    for values, value in metric.samples.items():
        assert not isinstance(value, Histogram)  # noqa: S101  # what its kind says
        family.add_metric(values, value)
    return family


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    bounds = [(str(bound), float(count)) for bound, count in zip(EXPOSED, histogram.exposed(), strict=True)]
    return [*bounds, ("+Inf", float(histogram.count))]


def _numbers(value: float | Histogram) -> Mapping[str, float]:
    return asdict(value.summary()) if isinstance(value, Histogram) else {"value": value}
