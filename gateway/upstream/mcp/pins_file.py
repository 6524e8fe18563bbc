"""The file with the pins of one server: written as a whole or not at all, and by one process at a time."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import structlog

from gateway.atomic import write_atomically
from gateway.errors import GatewayError
from gateway.upstream.mcp.model import KINDS
from gateway.upstream.mcp.pins import Pin, Pins

log = structlog.get_logger(__name__)

T = TypeVar("T")

_FORMAT = 1
MAX_SIZE = 64_000_000
"""Bytes; a larger file was not written here."""


class PinsFile:
    """`NAME.json` in the folder of the profile's `[federation]`. Its methods block: call them in a thread."""

    def __init__(self, folder: str, upstream: str) -> None:
        self.path = Path(folder).expanduser() / f"{upstream}.json"

    def load(self) -> Pins:
        """What was kept; nothing where there is no file yet. A file that does not parse is set aside and logged.

        Raises GatewayError when it can't be read.
        """
        try:
            with self.path.open("rb") as file:
                content = file.read(MAX_SIZE + 1)
        except FileNotFoundError:
            return Pins()
        except OSError as error:
            raise GatewayError(f"the pins in {self.path} can't be read: {error.strerror}") from error
        try:
            return _parse(content)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            aside = self.path.with_suffix(".broken")
            with suppress(OSError):
                self.path.replace(aside)
            log.error(  # noqa: TRY400  # the reason is told; a traceback would say no more
                "the pins of an MCP server are damaged and were set aside; it is trusted as if it were new",
                file=str(self.path),
                aside=str(aside),
                error=str(error),
            )
            return Pins()

    def update(self, change: Callable[[Pins], tuple[Pins, T]]) -> T:
        """Read, change and write, with no other process in between; what `change` says beside the new pins.

        Raises GatewayError when it can't be written; nothing has changed then.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._alone():
                before = self.load()
                pins, result = change(before)
                if pins != before:
                    self._write(pins)
        except OSError as error:
            raise GatewayError(f"the pins in {self.path} can't be written: {error.strerror}") from error
        return result

    def changed_at(self) -> int:
        """A number that changes with the file; 0 where there is none."""
        try:
            return self.path.stat().st_mtime_ns
        except OSError:
            return 0

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self.path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write(self, pins: Pins) -> None:
        write_atomically(self.path, json.dumps(_as_json(pins), indent=1).encode(), mode=0o600)


def _as_json(pins: Pins) -> dict[str, Any]:
    kinds = {
        kind: [
            {"name": own, "accepted": pin.accepted, "pending": pin.pending, "listed": pin.listed}
            for own, pin in pins.kinds[kind].items()
        ]
        for kind in KINDS
    }
    return {"format": _FORMAT, **kinds}


def _parse(text: bytes) -> Pins:
    if len(text) > MAX_SIZE:
        raise ValueError("it is too large")
    content = json.loads(text)
    if content["format"] != _FORMAT:
        raise ValueError("another gateway wrote it, in a format that is not known here")
    kinds: dict[str, dict[str, Pin]] = {}
    for kind in KINDS:
        kinds[kind] = {}
        for each in content[kind]:
            definitions = (each["accepted"], each["pending"])
            if not isinstance(each["name"], str) or not all(d is None or isinstance(d, dict) for d in definitions):
                raise ValueError("it holds something else than definitions")
            kinds[kind][each["name"]] = Pin(*definitions, listed=bool(each["listed"]))
    return Pins(kinds)
