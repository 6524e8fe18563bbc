"""When an alert is raised and when it is cleared: a state machine for each alert and subject, without clock or I/O."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.profile.alerts import LOW_IS_BAD
from gateway.watch.alerts.model import Change, RaisedAlert, Severity
from gateway.watch.alerts.numbers import AnyAlert, unit_of


@dataclass(slots=True)
class Judge:
    """Judges one number, time after time.

    A threshold counts once the number has been at it, or beyond, for `sustained`. It goes on counting until the number
    is better than it by `hysteresis`: a number that trembles about a threshold raises one alert. Too little to judge by
    is not bad: what is raised is cleared then, and says that nobody knows.
    """

    name: str
    subject: str
    section: AnyAlert
    raised: RaisedAlert | None = None
    _bad_since: dict[Severity, float] = field(default_factory=dict)

    def look(self, value: float | None, now: float, at: float | None = None) -> Change | None:
        """The change that `value` makes at `now`, if it makes one.

        `now` is of a clock that only goes forward; `at` is the same moment in seconds since the epoch, for people.
        """
        at = now if at is None else at
        before = self.raised.severity if self.raised is not None else Severity.OK
        severity = self._severity(value, now, before)
        if severity is Severity.OK and before is Severity.OK:
            return None
        number = value if value is not None else (self.raised.value if self.raised is not None else 0.0)
        threshold = self._threshold(severity or before)
        raised_at = self.raised.raised_at if self.raised is not None and severity is before else at
        alert = RaisedAlert(
            self.name, self.subject, severity, number, threshold or 0.0, unit_of(self.section), raised_at
        )
        self.raised = alert if severity is not Severity.OK else None
        return Change(alert, before, at, judged=value is not None) if severity is not before else None

    def _severity(self, value: float | None, now: float, before: Severity) -> Severity:
        since, found = self._bad_since, Severity.OK
        for severity in (Severity.WARNING, Severity.CRITICAL):
            threshold = self._threshold(severity)
            if threshold is None or value is None or not self._bad(value, threshold, eased=before >= severity):
                since.pop(severity, None)
                continue
            began = since.setdefault(severity, now)
            if before >= severity or now - began >= self.section.sustained:
                found = severity
        return found

    def _bad(self, value: float, threshold: float, *, eased: bool) -> bool:
        margin = self.section.hysteresis if eased else 0.0
        if self.name in LOW_IS_BAD:
            bound = threshold * (1 + margin)
            if self.name == "hit_rate":
                bound = min(bound, (1 + threshold) / 2)  # or nothing could ever be good enough
            return value < bound
        return value >= threshold if not margin else value > threshold * (1 - margin)

    def _threshold(self, severity: Severity) -> float | None:
        return self.section.critical if severity is Severity.CRITICAL else self.section.warning
