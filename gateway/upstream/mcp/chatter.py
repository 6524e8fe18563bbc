"""What a server says beside its messages, in the log: a line each, cut, and not more than so many."""

from __future__ import annotations

import structlog

from gateway.printable import printable

log = structlog.get_logger(__name__)

_LINE = 500
"""Most characters of a line that are kept."""
_LINES = 20
_WINDOW = 10.0
"""At most so many lines in so many seconds; the rest is counted."""


class Chatter:
    """Logs lines of one server. `now` is any clock in seconds."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._partial = bytearray()
        self._began = float("-inf")
        self._said = 0
        self._unsaid = 0

    def heard(self, chunk: bytes, now: float) -> None:
        """Take a piece of its stderr."""
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            self._say("an MCP server says", bytes(self._partial) + line[:_LINE], now)
            self._partial.clear()
        self._partial += rest[: max(0, _LINE * 4 - len(self._partial))]

    def noise(self, line: bytes, now: float) -> None:
        """Take a line of its stdout that is no message."""
        self._say("an MCP server writes to stdout what is no message", line, now)

    def ended(self) -> None:
        """Its stderr has ended: what has not been said is told of."""
        if self._partial:
            self._say("an MCP server says", bytes(self._partial), self._began)
            self._partial.clear()
        self._report()

    def _say(self, event: str, line: bytes, now: float) -> None:
        if now - self._began >= _WINDOW:
            self._report()
            self._began, self._said = now, 0
        text = line[: _LINE * 4].decode("utf-8", "replace").rstrip()
        if not text:
            return
        if self._said >= _LINES:
            self._unsaid += 1
            return
        self._said += 1
        log.info(event, upstream=self._upstream, line=printable(text, _LINE))

    def _report(self) -> None:
        if self._unsaid:
            log.info("an MCP server says more than is logged", upstream=self._upstream, lines=self._unsaid)
            self._unsaid = 0
