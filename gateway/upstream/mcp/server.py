"""One upstream MCP server: connected for as long as the gateway runs, its definitions known, its requests made."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import partial

import anyio
import structlog
import trio

from gateway.errors import UpstreamError, UpstreamNotAsked, UpstreamRejected, UpstreamUnavailable
from gateway.profile.units import format_duration
from gateway.profile.upstreams.mcp import McpUpstream
from gateway.upstream.mcp.dialogue import Dialogue
from gateway.upstream.mcp.known import Known
from gateway.upstream.mcp.model import Channel, Definitions, Json
from gateway.upstream.mcp.pins import set_aside_message
from gateway.upstream.mcp.pins_file import PinsFile
from gateway.upstream.mcp.session import Session
from gateway.upstream.mcp.streams import open_streams
from gateway.upstream.policies import Policies

log = structlog.get_logger(__name__)

_STREAMS = 2
"""Connections that stay busy with a session over HTTP: what a server tells by itself comes over them."""
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
        self.known = Known(name, section, pins)
        self._environ = environ
        self._draw = draw
        connections = None if section.url is None else max(1, section.pool.max_connections - _STREAMS)
        self._policies = Policies(name, section, draw, connections=connections)
        self.policies = (self._policies,)
        self._session: Session | None = None
        self._failure: UpstreamError | None = None
        self._news = trio.Event()
        self._suspect = trio.Event()
        self._dialogue: Dialogue | None = None

    @property
    def live(self) -> Definitions:
        """What may be listed and called."""
        return self.known.pins.live()

    @property
    def modern(self) -> bool:
        """Whether it speaks a revision in which answers say how long they hold; not known without a session."""
        return self._session is not None and self._session.modern

    @property
    def lists_hold(self) -> float:
        """For how many seconds what is known of its lists holds: none without a session, for ever if it tells."""
        if self._session is None:
            return 0.0
        return max(0.0, self.known.due(self._session) - trio.current_time())

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
        if own in self.known.pins.set_aside(kind):
            raise UpstreamRejected(self.name, set_aside_message(self.name, kind, own))

    @property
    def connected(self) -> bool:
        """Whether there is a session."""
        return self._session is not None

    async def wait_connected(self) -> None:
        """Wait until there is a session; raises UpstreamNotAsked once an attempt has failed."""
        await self._ready()

    async def wait_known(self, patience: float) -> None:
        """Wait until its definitions are known, for at most so many seconds; not for one that is not there."""
        with trio.move_on_after(patience):
            while not self.known.at_all.is_set() and self._failure is None:
                await self._news.wait()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep a session, begun again after each end with growing pauses, until cancelled."""
        await self.known.remember()
        async with trio.open_nursery() as nursery:
            self._dialogue = Dialogue(self.name, self.section, self._policies, self._ready, nursery)
            task_status.started()
            try:
                await self._stay_connected()
            finally:
                self._dialogue = None

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
        async with open_streams(self.name, self.section, self._environ, lost.set) as streams:
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

    async def _begin(self, session: Session) -> None:
        try:
            with trio.fail_after(self.section.start_timeout):
                await session.negotiate()
                await self.known.read(session)
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
                nursery.start_soon(self.known.keep_up, session)
                nursery.start_soon(self._look_after, session, lost)
                await lost.wait()
                self._session = None  # at once: a request that is tried again waits for the next one
                nursery.cancel_scope.cancel()
        finally:
            self._session = None

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
