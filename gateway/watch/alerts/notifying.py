"""What is said of an alert, and a program that is told of it; `gateway.watch.alerts.webhook` tells an address."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from typing import Any, Protocol

import orjson
import trio

from gateway.errors import GatewayError
from gateway.printable import printable
from gateway.profile.alerts import LOW_IS_BAD, Command
from gateway.watch.alerts.model import Change

_SHOWN = 500
"""Characters of what a program says that are logged."""


class NotTold(GatewayError):
    """Somebody could not be told of an alert."""


class Notifier(Protocol):
    """Somebody who is told. `key` is where the profile names them."""

    key: str

    async def tell(self, change: Change) -> None:
        """Tell of a change; raises GatewayError when that can't be done."""


def about(change: Change) -> dict[str, Any]:
    """The change as JSON has it: what log lines, webhooks and programs get."""
    alert = change.alert
    said = {
        "alert": alert.name,
        "subject": alert.subject,
        "severity": alert.severity.word,
        "before": change.before.word,
        "value": alert.value,
        "threshold": alert.threshold,
        "unit": alert.unit,
        "key": alert.key if alert.severity else f"alerts.{alert.name}.{change.before.word}",
    }
    return {name: value for name, value in said.items() if value != ""}


def message(change: Change, gateway: str) -> bytes:
    """What is sent: the change, which gateway it is of, and a sentence for people."""
    return orjson.dumps(
        {"event": change.event, "gateway": gateway, "at": change.at, "text": sentence(change), **about(change)}
    )


def sentence(change: Change) -> str:
    """The change for people."""
    alert = change.alert
    subject = f" of {alert.subject}" if alert.subject else ""
    name = alert.name.replace("_", " ")
    if not alert.severity:
        return f"{name}{subject} is good again: {shown(alert.value, alert.unit)}"
    side = "below" if alert.name in LOW_IS_BAD else "at or above"
    number, bound = shown(alert.value, alert.unit), shown(alert.threshold, alert.unit)
    return f"{alert.severity.word}: {name}{subject} is {number}, {side} {bound} ({alert.key})"


def shown(value: float, unit: str) -> str:
    """A number with its unit, as people read it."""
    match unit:
        case "seconds":
            return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"
        case "bytes":
            return f"{value / 1e6:.4g} MB"
        case "ratio":
            return f"{value:.2%}"
        case _:
            return f"{value:.4g} {unit}"


class CommandNotifier:
    """Runs a program for each change, with it as JSON on its stdin and in GATEWAY_ALERT_… in its environment."""

    key = "notifications.command"

    def __init__(self, section: Command, gateway: str, environ: Mapping[str, str] = os.environ) -> None:
        self._section = section
        self._gateway = gateway
        self._environ = environ

    async def tell(self, change: Change) -> None:
        """Run it to its end. Raises NotTold when it can't be run, fails, or takes too long; then it is ended."""
        variables = {f"GATEWAY_ALERT_{name.upper()}": str(value) for name, value in about(change).items()}
        variables["GATEWAY_ALERT_EVENT"] = change.event
        with trio.move_on_after(self._section.timeout) as scope:
            try:
                done = await trio.run_process(
                    self._section.argv,
                    stdin=message(change, self._gateway),
                    stdout=subprocess.DEVNULL,
                    capture_stderr=True,
                    check=False,
                    env={**self._environ, **variables},
                )
            except OSError as error:
                raise NotTold(f"{self._section.argv[0]} can't be run: {error.strerror or error}") from error
        if scope.cancelled_caught:
            raise NotTold(f"{self._section.argv[0]} took longer than {self.key}.timeout and was ended")
        if done.returncode:
            said = printable((done.stderr or b"").decode("utf-8", "replace").strip(), _SHOWN)
            raise NotTold(f"{self._section.argv[0]} ended with {done.returncode}: {said}")
