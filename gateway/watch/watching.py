"""What a gateway knows of itself: all that the admin site, `gateway top` and the diagnosis read."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.telemetry.metrics import Metric
from gateway.telemetry.requests import Requests
from gateway.telemetry.series import Series
from gateway.telemetry.telemetry import Telemetry
from gateway.watch.alerts.alerting import Alerting
from gateway.watch.gauges import Gauges
from gateway.watch.monitors.standing import StandingMonitor
from gateway.watch.profiling.cpu import CpuSamples
from gateway.watch.profiling.profiler import StackProfiler
from gateway.watch.scaling.scaler import Scaler


@dataclass(frozen=True, slots=True)
class Watching:
    """What is recorded, what is looked at, and what became of it lately."""

    telemetry: Telemetry
    requests: Requests
    gauges: Gauges
    series: Series
    alerting: Alerting
    standing: tuple[StandingMonitor, ...]
    cpu: CpuSamples
    profiler: StackProfiler
    scaler: Scaler

    def metrics(self) -> list[Metric]:
        """Every metric, as it is told."""
        standing = (metric for monitor in self.standing for metric in monitor.metrics())
        return [
            *self.telemetry.metrics(),
            *self.gauges.metrics(),
            *self.alerting.metrics(),
            *standing,
            *self.cpu.metrics(),
            *self.scaler.metrics(),
        ]
