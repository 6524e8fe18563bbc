"""What is said of an alert, and a program that is told of it; `gateway.watch.alerts.webhook` tells an address."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol

import orjson
import trio

from gateway.errors import GatewayError
from gateway.printable import printable
from gateway.profile.alerts import LOW_IS_BAD, Command
from gateway.watch.alerts.model import Change

_SHOWN = 500
"""Bytes of what a program says on stderr that are logged."""


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
    number, bound = shown(alert.value, alert.unit), shown(alert.threshold, alert.unit)
    if not change.judged:
        return f"{name}{subject} can't be judged any more: too few requests; it was {number}"
    if not alert.severity:
        return f"{name}{subject} is good again: {number}"
    side = "below" if alert.name in LOW_IS_BAD else "at or above"
    return f"{alert.severity.word}: {name}{subject} is {number}, {side} {bound} ({alert.key})"


def shown(value: float, unit: str) -> str:
    """A number with its unit, as people read it."""
    match unit:
        case "seconds":
            return f"{_figures(value * 1000)} ms" if value < 1 else f"{_figures(value)} s"
        case "bytes":
            return f"{_figures(value / 1e9)} GB" if value >= 1e9 else f"{_figures(value / 1e6)} MB"
        case "ratio":
            return f"{value:.2%}"
        case _:
            return f"{_figures(value)} {unit}"


def _figures(value: float) -> str:
    """Four significant digits, and never an exponent."""
    if abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:.4g}" if abs(value) >= 0.001 else f"{value:.6f}".rstrip("0").rstrip(".")


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
        program = self._section.argv[0]
        with tempfile.TemporaryFile() as words:
            try:
                process = await trio.lowlevel.open_process(
                    self._section.argv,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=words,  # no pipe: what the program leaves behind may hold it open for ever
                    env={**self._environ, **variables},
                    start_new_session=True,
                )
            except OSError as error:
                raise NotTold(f"{program} can't be run: {error.strerror or error}") from error
            code = await self._wait(process, message(change, self._gateway))
            words.seek(0)
            said = printable(words.read(_SHOWN).decode("utf-8", "replace").strip(), _SHOWN)
        if code is None:
            raise NotTold(f"{program} took longer than {self.key}.timeout and was ended")
        if code:
            raise NotTold(f"{program} ended with {code}{': ' if said else ''}{said}")

    async def _wait(self, process: trio.Process, body: bytes) -> int | None:
        """The program's exit code; None where it took too long, and was ended with all that it started."""
        assert process.stdin is not None  # noqa: S101  # a pipe was asked for
        try:
            with trio.move_on_after(self._section.timeout):
                with suppress(trio.BrokenResourceError):  # it need not read it
                    await process.stdin.send_all(body)
                await process.stdin.aclose()
                return await process.wait()
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                with trio.CancelScope(shield=True):
                    await process.wait()
        return None
