"""One upstream MCP server: connected for as long as the gateway runs, its definitions known, its requests made."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import anyio
import structlog
import trio

from gateway.errors import GatewayError, UpstreamError, UpstreamNotAsked, UpstreamRejected, UpstreamUnavailable
from gateway.profile.units import format_duration
from gateway.profile.upstreams.mcp import McpUpstream
from gateway.upstream.mcp.dialogue import Dialogue
from gateway.upstream.mcp.model import Channel, Definitions, Json
from gateway.upstream.mcp.pins import Pins, set_aside_message
from gateway.upstream.mcp.pins_file import PinsFile
from gateway.upstream.mcp.review import review
from gateway.upstream.mcp.session import Session
from gateway.upstream.policies import Policies

log = structlog.get_logger(__name__)

_STREAMS = 2
"""Connections that stay busy with a session over HTTP: what a server tells by itself comes over them."""
_BREATH = 1.0
"""Seconds between two readings of the lists, however often a server says that they have changed."""
_LOOK = 2.0
"""Seconds between two looks whether somebody has accepted what is set aside."""
_PING = 5.0
"""Seconds for a server that missed a deadline to show that it is alive."""


class McpServer:
    """What a server offers, and requests to it. A service: `run` keeps it connected. Safe for concurrent use."""

    def __init__(
        self,
        name: str,
        section: McpUpstream,
        pins: PinsFile,
        environ: Mapping[str, str],
        *,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.name = name
        self.section = section
        self.pins = Pins()
        """What is known of its definitions, also from earlier runs."""
        self.changed: Callable[[], None] = lambda: None
        """Called when what is live has changed."""
        self.known = trio.Event()
        """Set once its definitions are known, be it from an earlier run."""
        self._file = pins
        self._environ = environ
        self._draw = draw
        connections = None if section.url is None else max(1, section.pool.max_connections - _STREAMS)
        self._policies = Policies(name, section, draw, connections=connections)
        self._session: Session | None = None
        self._failure: UpstreamError | None = None
        self._news = trio.Event()
        self._suspect = trio.Event()
        self._dialogue: Dialogue | None = None
        self._hints = Definitions()
        self._read_at = float("-inf")

    @property
    def live(self) -> Definitions:
        """What may be listed and called."""
        return self.pins.live()

    @property
    def private(self) -> bool:
        """Whether the server says that its lists are for the gateway alone."""
        return self._hints.private

    @property
    def connected(self) -> bool:
        """Whether there is a session."""
        return self._session is not None

    @property
    def modern(self) -> bool:
        """Whether it speaks a revision in which answers say how long they hold; not known without a session."""
        return self._session is not None and self._session.modern

    @property
    def lists_hold(self) -> float:
        """For how many seconds what is known of its lists holds: none without a session, for ever if it tells."""
        if self._session is None:
            return 0.0
        return max(0.0, self._due(self._session) - trio.current_time())

    async def request(
        self,
        method: str,
        params: Json,
        channel: Channel,
        *,
        of: tuple[str, str],
        idempotent: bool = False,
        caller: str = "",
    ) -> Json:
        """The server's result to a request of a client, as `Dialogue.request` says.

        `of` is the kind and the server's own name of the definition that it is about: where that turns out to be set
        aside, now that the server is there, UpstreamRejected is raised and nothing is sent.
        """
        if self._dialogue is None:
            raise UpstreamUnavailable(self.name, "the gateway is closing")
        self._check()  # before the policies, for which it would be a failure of a request
        try:
            return await self._dialogue.request(
                method, params, channel, idempotent=idempotent, caller=caller, guard=partial(self._guard, *of)
            )
        except UpstreamUnavailable as error:
            if not isinstance(error, UpstreamNotAsked):
                self._suspect.set()
            raise

    def _guard(self, kind: str, own: str) -> None:
        if own in self.pins.set_aside(kind):
            raise UpstreamRejected(self.name, set_aside_message(self.name, kind, own))

    async def wait_known(self, patience: float) -> None:
        """Wait until its definitions are known, for at most so many seconds; not for one that is not there."""
        with trio.move_on_after(patience):
            while not self.known.is_set() and self._failure is None:
                await self._news.wait()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep a session, begun again after each end with growing pauses, until cancelled."""
        await self._remember()
        async with trio.open_nursery() as nursery:
            self._dialogue = Dialogue(self.name, self.section, self._policies, self._ready, nursery)
            task_status.started()
            try:
                await self._stay_connected()
            finally:
                self._dialogue = None

    async def _remember(self) -> None:
        try:
            self.pins = await trio.to_thread.run_sync(self._file.load)
        except GatewayError as error:
            log.warning("nothing is known of an MCP server from earlier runs", upstream=self.name, error=str(error))
        if self.pins.known:
            self.known.set()

    async def _stay_connected(self) -> None:
        bound = self.section.reconnect_delay
        while True:
            began = trio.current_time()
            try:
                await self._one_session()
                log.warning("the session with an MCP server has ended", upstream=self.name)
            except UpstreamError as error:
                self._failed(error)
            except Exception as error:  # whatever a transport dies of; also a mistake of ours must not end the gateway
                self._broke(error)
            if trio.current_time() - began > bound:
                bound = self.section.reconnect_delay
            await trio.sleep(self._draw(0.0, bound))
            bound = min(bound * 2, self.section.max_reconnect_delay)

    def _broke(self, error: Exception) -> None:
        if _is_of_closed_streams(error):
            log.warning("the session with an MCP server has ended", upstream=self.name)
        else:
            log.exception("the session with an MCP server broke", upstream=self.name)
            self._failed(UpstreamUnavailable(self.name, f"the session broke: {type(error).__name__}"))

    def _failed(self, error: UpstreamError) -> None:
        log.warning("an MCP server is not there", upstream=self.name, error=error.message)
        self._failure = error
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()

    async def _ready(self) -> Session:
        """The session, waited for while it may come; raises UpstreamNotAsked once an attempt has failed."""
        while self._session is None:
            self._check()
            await self._news.wait()
        return self._session

    def _check(self) -> None:
        """Raise UpstreamNotAsked where there is no session, and the last attempt at one has failed."""
        if self._session is None and self._failure is not None:
            raise UpstreamNotAsked(self.name, f"it is not there: {self._failure.message}")

    async def _one_session(self) -> None:
        """A session from its beginning to its end; raises UpstreamError when it can't be begun."""
        lost = trio.Event()
        failure: UpstreamError | None = None
        async with self._streams(lost.set) as streams:
            session = Session(self.name, self.section, streams, _ask)
            async with session.client:
                try:
                    await self._begin(session)
                except UpstreamError as error:  # kept from the groups that the SDK's and our tasks would make of it
                    failure = error
                else:
                    await self._live(session, lost)
        if failure is not None:
            raise failure

    @asynccontextmanager
    async def _streams(self, lost: Callable[[], None]) -> AsyncIterator[Any]:
        if self.section.command is not None:
            from gateway.upstream.mcp.stdio import open_stdio

            async with open_stdio(self.name, self.section, self._environ, lost) as streams:
                yield streams
        else:
            from gateway.upstream.mcp.http import open_http_streams

            async with open_http_streams(self.name, self.section, lost) as streams:
                yield streams

    async def _begin(self, session: Session) -> None:
        try:
            with trio.fail_after(self.section.start_timeout):
                await session.negotiate()
                await self._read(session)
        except trio.TooSlowError:
            limit = f"{format_duration(self.section.start_timeout)} (upstreams.{self.name}.start_timeout)"
            raise UpstreamUnavailable(
                self.name, f"it did not begin a session and list what it has within {limit}"
            ) from None

    async def _live(self, session: Session, lost: trio.Event) -> None:
        version = session.client.protocol_version
        log.info("connected to an MCP server", upstream=self.name, protocol=version)
        self._session, self._failure, self._suspect = session, None, trio.Event()
        self._tell()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(session.listen)
                nursery.start_soon(self._keep_up, session)
                nursery.start_soon(self._look_after, session, lost)
                await lost.wait()
                self._session = None  # at once: a request that is tried again waits for the next one
                nursery.cancel_scope.cancel()
        finally:
            self._session = None

    async def _keep_up(self, session: Session) -> None:
        """Read the lists again when they have changed or are due, and let go of what was accepted meanwhile."""
        seen = await trio.to_thread.run_sync(self._file.changed_at)
        while True:
            look = trio.current_time() + _LOOK if any(map(self.pins.set_aside, self.pins.kinds)) else float("inf")
            due = self._due(session)
            with trio.move_on_at(min(look, due)):
                await session.changed.wait()
            at = await trio.to_thread.run_sync(self._file.changed_at)
            if session.changed.is_set() or trio.current_time() >= due or at != seen:
                session.changed = trio.Event()
                with suppress(UpstreamError):  # said already; what was known stands until the next time
                    await self._read_in_time(session)
                seen = await trio.to_thread.run_sync(self._file.changed_at)
                await trio.sleep(_BREATH)

    def _due(self, session: Session) -> float:
        if self._hints.ttl is not None:
            return self._read_at + max(self._hints.ttl, _BREATH)
        return float("inf") if session.tells_of_changes() else self._read_at + self.section.refresh

    async def _read_in_time(self, session: Session) -> None:
        try:
            with trio.fail_after(self.section.start_timeout):
                await self._read(session)
        except (trio.TooSlowError, UpstreamError) as error:
            log.warning("the lists of an MCP server can't be read again", upstream=self.name, error=str(error))
            self._read_at = trio.current_time()

    async def _read(self, session: Session) -> None:
        now = await session.definitions()
        before = self.live if self.known.is_set() else None
        self.pins = await review(self.name, self.section, self._file, self.pins, now)
        self._hints, self._read_at = now, trio.current_time()
        self.known.set()
        self._tell()
        if self.live != before:
            self.changed()

    async def _look_after(self, session: Session, lost: trio.Event) -> None:
        """End the session with a server that misses a deadline and shows no sign of life then."""
        while True:
            await self._suspect.wait()
            try:
                with trio.fail_after(_PING):
                    await session.ping()
            except (trio.TooSlowError, UpstreamUnavailable):
                log.warning("an MCP server does not answer any more", upstream=self.name)
                lost.set()
            except UpstreamError:
                pass  # it refuses to be asked, and so it is alive
            self._suspect = trio.Event()


def _is_of_closed_streams(error: BaseException) -> bool:
    """Whether it only says that the SDK's tasks had something left to send when the session was closed."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_of_closed_streams, error.exceptions))
    return isinstance(error, anyio.BrokenResourceError | anyio.ClosedResourceError)


async def _ask(channel: Channel, method: str, params: Json) -> Json:
    return await channel.ask(method, params)
