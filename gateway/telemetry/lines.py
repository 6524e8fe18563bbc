"""Lines of the log that come again and again: put together by structlog once, and then filled in."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextvars import Context, copy_context
from typing import Any, Literal
from uuid import uuid4

from structlog.processors import JSONRenderer, TimeStamper

_NUMBER, _TIME = uuid4().hex, uuid4().hex
"""What stands where the two are filled in."""


class Line:
    """A line of which all is known but one number and the time: to write it takes a third of what structlog takes.

    Its bytes are those that structlog would write, since the processors of the logger have made them. Structlog writes
    it where these don't end in JSON, or give no time.
    """

    def __init__(
        self, log: Any, level: Literal["info", "warning"], event: str, about: Mapping[str, Any], key: str
    ) -> None:
        """`log` is a bound logger with nothing of its own; `key` is the number's, which comes behind `about`."""
        self._event: dict[str, Any] = {**about, key: _NUMBER, "event": event}
        self._key = key
        self._level = level
        self._logger = log._logger
        self._say = getattr(log, level)
        self._write = getattr(log._logger, level)
        *self._processors, self._renderer = log._processors
        self._stamper = (
            _stamper(log._processors) if log.is_enabled_for(logging.getLevelNamesMapping()[level.upper()]) else None
        )
        self._context: Context | None = None
        self._parts = ("", "", "")
        """What is known of it, in this context: processors look there as well."""

    def write(self, number: float) -> None:
        """Write it, as of now; `number` has no more than three digits behind the point."""
        if self._stamper is None:
            self._say(**{**self._event, self._key: number})
            return
        context = copy_context()
        if context != self._context:
            self._context, self._parts = context, self._known(self._stamper.key)
        before, between, behind = self._parts
        now = self._stamper(None, self._level, {})[self._stamper.key]
        self._write(f"{before}{number!r}{between}{now}{behind}")

    def _known(self, time: str) -> tuple[str, str, str]:
        event = dict(self._event)
        for process in self._processors:
            event = process(self._logger, self._level, event)
        event[time] = _TIME
        before, _, rest = self._renderer(self._logger, self._level, event).partition(f'"{_NUMBER}"')
        between, _, behind = rest.partition(_TIME)
        return before, between, behind


def _stamper(processors: list[Any]) -> TimeStamper | None:
    """What gives the time; None where it does not end up in JSON."""
    stampers = (each for each in processors if isinstance(each, TimeStamper))
    return next(stampers, None) if isinstance(processors[-1], JSONRenderer) else None
