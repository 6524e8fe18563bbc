"""The service that judges the numbers every `metrics.interval`, and keeps what is raised."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import structlog
import trio

from gateway.pipeline.clock import Clock
from gateway.profile.alerts import Alerts
from gateway.telemetry.metrics import Counts, Labels, Metric
from gateway.telemetry.series import Series
from gateway.watch.alerts.judge import Judge
from gateway.watch.alerts.model import Change, RaisedAlert
from gateway.watch.alerts.notifying import Notifier, about
from gateway.watch.alerts.numbers import numbers, watched

log = structlog.get_logger(__name__)

_REMEMBERED = 100
"""Changes that are kept for who asks later."""
_WAITING = 100
"""Changes that wait to be told; more are only logged: who can't be reached should not take memory."""


class Alerting:
    """Every alert of a profile: what is raised now, what changed lately, and who is told. `run` is the service."""

    def __init__(
        self, alerts: Alerts, series: Series, interval: float, clock: Clock, notifiers: Iterable[Notifier] = ()
    ) -> None:
        self._sections = watched(alerts)
        self._series = series
        self._interval = interval
        self._clock = clock
        self._notifiers = tuple(notifiers)
        self._judges: dict[tuple[str, str], Judge] = {}
        self._changes: deque[Change] = deque(maxlen=_REMEMBERED)
        self._raises = Counts("gateway_alerts_raised", "Alerts that were raised, or got worse", "alert", "severity")

    @property
    def raised(self) -> list[RaisedAlert]:
        """What is raised now, the worst and oldest first."""
        found = [judge.raised for judge in self._judges.values() if judge.raised is not None]
        return sorted(found, key=lambda alert: (-alert.severity, alert.raised_at))

    @property
    def changes(self) -> list[Change]:
        """What changed lately, the newest first."""
        return list(reversed(self._changes))

    def look(self) -> list[Change]:
        """Judge every number now; what changed by it."""
        now, at, changes = trio.current_time(), self._clock(), []  # what lasts does not heed that the clock is set
        for name, section in self._sections.items():
            for subject, value in numbers(name, section, self._series):
                judge = self._judges.setdefault((name, subject), Judge(name, subject, section))
                change = judge.look(value, now, at)
                if change is not None:
                    changes.append(change)
        return changes

    def metrics(self) -> list[Metric]:
        """What is raised, as it is told; an alert that was never judged has no sample."""
        active: dict[Labels, float] = {
            judged: float(judge.raised.severity) if judge.raised is not None else 0.0
            for judged, judge in self._judges.items()
        }
        help_text = "0 where all is well, 1 for a warning, 2 for critical; `subject` is the upstream, if it is of one"
        return [
            Metric("gateway_alert_severity", help_text, "gauge", ("alert", "subject"), active),
            self._raises.metric(),
        ]

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Judge every interval until cancelled. Who is told is told in turn, by a task of their own."""
        async with trio.open_nursery() as nursery:
            channels = []
            for notifier in self._notifiers:
                send, receive = trio.open_memory_channel[Change](_WAITING)
                channels.append(send)
                nursery.start_soon(_tell, notifier, receive)
            task_status.started()
            while True:
                await trio.sleep(self._interval)
                for change in self.look():
                    self._note(change)
                    for channel in channels:
                        try:
                            channel.send_nowait(change)
                        except trio.WouldBlock:
                            log.warning("an alert is told to the log alone, too many wait", alert=change.alert.name)

    def _note(self, change: Change) -> None:
        self._changes.append(change)
        alert = change.alert
        if change.event in ("raised", "worsened"):
            self._raises.add(alert.name, alert.severity.word)
        write = log.warning if alert.severity else log.info
        write("alert", change=change.event, **about(change))


async def _tell(notifier: Notifier, changes: trio.MemoryReceiveChannel[Change]) -> None:
    async with changes:
        async for change in changes:
            try:
                await notifier.tell(change)
            except Exception as error:  # the next one may be told again, and the others are told anyhow
                log.warning("an alert could not be told", notifier=notifier.key, error=str(error))
