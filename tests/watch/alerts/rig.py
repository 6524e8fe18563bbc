"""Changes of alerts, and somebody who is told of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import trio

from gateway.watch.alerts.model import Change, RaisedAlert, Severity


def change(severity: Severity = Severity.CRITICAL, before: Severity = Severity.OK, subject: str = "") -> Change:
    """Response times of 0.6 s, where 0.5 s is critical."""
    alert = RaisedAlert("response_time", subject, severity, 0.6, 0.5, "seconds", 1000.0)
    return Change(alert, before, 1000.0)


@dataclass
class Told:
    """Notes what it is told; takes its time, and fails where it is to."""

    key: str = "notifications.test"
    delay: float = 0.0
    failures: list[Exception] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    async def tell(self, change: Change) -> None:
        await trio.sleep(self.delay)
        if self.failures:
            raise self.failures.pop(0)
        self.changes.append(change)

    @property
    def events(self) -> list[str]:
        return [change.event for change in self.changes]
