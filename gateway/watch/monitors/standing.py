"""What is well or not: file descriptors, the disk, each upstream; the log says when that changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
import trio

from gateway.profile.watch import Monitors
from gateway.telemetry.metrics import Labels, Metric
from gateway.telemetry.series import UPSTREAM_FAILURES, Series
from gateway.watch.gauges import Gauges

_ENOUGH = 5
"""Questions to an upstream from which on their failures say something."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Finding:
    """How one thing stands."""

    name: str
    """`descriptors`, `disk` or an upstream's."""
    well: bool
    key: str
    """The key of the profile that decides it."""
    about: Mapping[str, Any] = field(default_factory=dict)


class StandingMonitor:
    """Looks at one kind of thing every `interval` seconds, and says when it stops being well and when it is again."""

    def __init__(self, kind: str, section: Monitors, gauges: Gauges, series: Series) -> None:
        self.kind = kind
        self._section = section
        self._gauges = gauges
        self._series = series
        self.standing: dict[str, Finding] = {}

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look until cancelled."""
        task_status.started()
        while True:
            for finding in await self._findings():
                self._note(finding)
            await trio.sleep(self._section.interval)

    def metrics(self) -> Iterator[Metric]:
        """1 for what is well, 0 for what is not."""
        labels = ("upstream",) if self.kind == "upstream" else ()
        samples: dict[Labels, float] = {
            (name,) if labels else (): float(finding.well) for name, finding in self.standing.items()
        }
        yield Metric(f"gateway_{self.kind}_well", "Whether it is well, as `monitors` has it", "gauge", labels, samples)

    def _note(self, finding: Finding) -> None:
        before = self.standing.get(finding.name)
        self.standing[finding.name] = finding
        if finding.well is (before is None or before.well):
            return
        if finding.well:
            log.info("well again", monitor=self.kind, name=finding.name, key=finding.key, **finding.about)
        else:
            log.warning("not well", monitor=self.kind, name=finding.name, key=finding.key, **finding.about)

    async def _findings(self) -> list[Finding]:
        match self.kind:
            case "descriptors":
                return [self._descriptors()]
            case "disk":
                free = await self._gauges.disk_free()
                return [] if free is None else [self._disk(free)]
            case _:
                return list(self._upstreams())

    def _descriptors(self) -> Finding:
        now, most = self._gauges.descriptors()
        well = now < most * self._section.descriptors
        return Finding("descriptors", well, "monitors.descriptors", {"open": now, "limit": most})

    def _disk(self, free: int) -> Finding:
        return Finding("disk", free >= self._section.disk, "monitors.disk", {"free": free})

    def _upstreams(self) -> Iterator[Finding]:
        window = self._series.window(self._section.upstream_window)
        for name, state in self._gauges.upstreams().items():
            outcomes = window.upstream_outcomes(name)
            failed, asked = sum(outcomes[word] for word in UPSTREAM_FAILURES), sum(outcomes.values())
            well = not state.breaker_open and (asked < _ENOUGH or failed * 2 < asked)
            about = {"breaker": "open" if state.breaker_open else "closed", "asked": asked, "failed": failed}
            yield Finding(name, well, f"upstreams.{name}", about)
