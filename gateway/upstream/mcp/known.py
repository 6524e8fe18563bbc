"""What is known of a server's definitions: from earlier runs, and kept up for as long as a session lasts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import structlog
import trio

from gateway.errors import GatewayError, UpstreamError
from gateway.profile.upstreams.mcp import McpUpstream
from gateway.upstream.mcp.model import Definitions
from gateway.upstream.mcp.pins import Pins
from gateway.upstream.mcp.pins_file import PinsFile
from gateway.upstream.mcp.review import review
from gateway.upstream.mcp.session import Session

log = structlog.get_logger(__name__)

_BREATH = 1.0
"""Seconds between two readings of the lists, however often a server says that they have changed."""
_LOOK = 2.0
"""Seconds between two looks whether somebody has accepted what is set aside."""


class Known:
    """The definitions of one server, each live or set aside."""

    def __init__(self, name: str, section: McpUpstream, file: PinsFile) -> None:
        self.pins = Pins()
        """What is known, also from earlier runs."""
        self.changed: Callable[[], None] = lambda: None
        """Called when what is live has changed."""
        self.at_all = trio.Event()
        """Set once anything is known, be it from an earlier run."""
        self._name = name
        self._section = section
        self._file = file
        self._hints = Definitions()
        self._read_at = float("-inf")

    @property
    def private(self) -> bool:
        """Whether the server says that its lists are for the gateway alone."""
        return self._hints.private

    def due(self, session: Session) -> float:
        """When the lists are to be read again; never, if the server tells of changes."""
        if self._hints.ttl is not None:
            return self._read_at + max(self._hints.ttl, _BREATH)
        return float("inf") if session.tells_of_changes() else self._read_at + self._section.refresh

    async def remember(self) -> None:
        """Take over what earlier runs knew; where it can't be read, that is logged."""
        try:
            self.pins = await trio.to_thread.run_sync(self._file.load)
        except GatewayError as error:
            log.warning("nothing is known of an MCP server from earlier runs", upstream=self._name, error=str(error))
        if self.pins.known:
            self.at_all.set()

    async def read(self, session: Session) -> None:
        """Read the lists and hold them against the pins; raises UpstreamError."""
        now = await session.definitions()
        before = self.pins.live() if self.at_all.is_set() else None
        self.pins = await review(self._name, self._section, self._file, self.pins, now)
        self._hints, self._read_at = now, trio.current_time()
        self.at_all.set()
        if self.pins.live() != before:
            self.changed()

    async def keep_up(self, session: Session) -> None:
        """Read the lists again when they have changed or are due, and let go of what was accepted meanwhile."""
        seen = await trio.to_thread.run_sync(self._file.changed_at)
        while True:
            look = trio.current_time() + _LOOK if any(map(self.pins.set_aside, self.pins.kinds)) else float("inf")
            due = self.due(session)
            with trio.move_on_at(min(look, due)):
                await session.changed.wait()
            at = await trio.to_thread.run_sync(self._file.changed_at)
            if session.changed.is_set() or trio.current_time() >= due or at != seen:
                session.changed = trio.Event()
                with suppress(UpstreamError):  # said already; what was known stands until the next time
                    await self._read_in_time(session)
                seen = await trio.to_thread.run_sync(self._file.changed_at)
                await trio.sleep(_BREATH)

    async def _read_in_time(self, session: Session) -> None:
        try:
            with trio.fail_after(self._section.start_timeout):
                await self.read(session)
        except (trio.TooSlowError, UpstreamError) as error:
            log.warning("the lists of an MCP server can't be read again", upstream=self._name, error=str(error))
            self._read_at = trio.current_time()
