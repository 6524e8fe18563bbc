"""The values of alerting: a severity, an alert that is raised, and a change that is told."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

Unit = Literal["seconds", "bytes", "ratio", "requests/s"]


class Severity(IntEnum):
    """How bad it is."""

    OK = 0
    WARNING = 1
    CRITICAL = 2

    @property
    def word(self) -> str:
        """As people, and the profile, say it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class RaisedAlert:
    """An alert that is raised."""

    name: str
    """As the profile has it: `alerts.NAME`."""
    subject: str
    """The upstream that it is about; empty where it is about the gateway."""
    severity: Severity
    value: float
    """The number, when it was last looked at."""
    threshold: float
    unit: Unit
    raised_at: float
    """When it was raised with this severity; seconds since the epoch."""

    @property
    def key(self) -> str:
        """The line of the profile that decides it."""
        return f"alerts.{self.name}.{self.severity.word}"


@dataclass(frozen=True, slots=True)
class Change:
    """An alert was raised, changed its severity, or was cleared (`severity` is then OK and the value is good)."""

    alert: RaisedAlert
    before: Severity
    at: float
    judged: bool = True
    """Whether there was enough to judge by; else it is cleared for want of that, and its number is the last one."""

    @property
    def event(self) -> str:
        """In a word."""
        if self.alert.severity is Severity.OK:
            return "cleared"
        if self.before is Severity.OK:
            return "raised"
        return "worsened" if self.alert.severity > self.before else "eased"
