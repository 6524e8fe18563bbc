"""The way to the MCP SDK: a request is its to answer where nobody else here recognised it.

The SDK is imported for the first of them, in a thread: a gateway whose clients only call its own tools does without.
With sessions, or without the front, most requests are for it, and it is there from the start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import structlog
import trio

from gateway.assembly import Gateway
from gateway.assembly.gateway import Users
from gateway.serving.hosts import answer
from gateway.serving.late import imported

if TYPE_CHECKING:
    from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope

    from gateway.serving.sdk.endpoint import SdkEndpoint

log = structlog.get_logger(__name__)

_SDK = "gateway.serving.sdk.endpoint"


class Endpoint:
    """Answers requests to MCP's path, for the gateway that it was last told to use. `run` is the service."""

    def __init__(self, gateway: Gateway, stop: trio.Event) -> None:
        self._about = _about(gateway)
        self._gateway = gateway
        self._stop = stop
        self._over = trio.Event()
        self._requests = Users()
        self._opening = trio.Lock()
        self._streams_ended = self._gone = False
        self._sdk: SdkEndpoint | None = None
        self._serving: trio.Nursery

    def serves(self, gateway: Gateway) -> bool:
        """Whether it can go on with this one: another one has to be built where clients were told something else."""
        return _about(gateway) == self._about

    def use(self, gateway: Gateway) -> None:
        """Answer for another gateway from now on, which it `serves`."""
        self._gateway = gateway
        if self._sdk is not None:
            self._sdk.use(gateway)

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """One request: 503 once `run` is about to end, 500 where the SDK can't be imported or opened."""
        with self._requests:
            sdk = await self._ready(send)
            if sdk is not None:
                await sdk.app(scope, receive, send)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until `end` was called and what was under way has ended, for at most `server.drain_timeout`."""
        section = self._gateway.profile.server
        async with trio.open_nursery() as self._serving:
            if section.sessions or not section.front:
                await self._open()
            task_status.started()
            await self._over.wait()
            with trio.move_on_after(self._gateway.profile.server.drain_timeout):
                await self._requests.wait_none()
            self._gone = True
            if self._sdk is not None:
                self._sdk.end()
            else:
                self._serving.cancel_scope.cancel()

    def end_streams(self) -> None:
        """End the streams of those who listen, each with its final answer: a drain would wait for them."""
        self._streams_ended = True
        if self._sdk is not None:
            self._sdk.end_streams()

    def end(self) -> None:
        """Nobody asks any more: another one has taken its place, or nobody listens."""
        self.end_streams()
        self._over.set()

    async def _ready(self, send: ASGISendCallable) -> SdkEndpoint | None:
        """The SDK that answers; None where the request was answered without it."""
        sdk = None
        if not self._gone:
            try:
                sdk = self._sdk or await self._open()
            except Exception:
                if not self._gone:
                    log.exception("the MCP SDK can't be opened, and requests need it")
                    await answer(send, 500, b"Internal server error\n")
                    return None
        if self._gone:
            await answer(send, 503, b"This server is about to end: ask again\n")
            return None
        return sdk

    async def _open(self) -> SdkEndpoint:
        async with self._opening:
            if self._sdk is None:
                module = await imported(_SDK)
                sdk = cast("SdkEndpoint", module.SdkEndpoint(self._gateway, self._stop))
                await self._serving.start(sdk.run)
                # Whatever was said to this endpoint meanwhile:
                sdk.use(self._gateway)
                if self._streams_ended:
                    sdk.end_streams()
                self._sdk = sdk
            return self._sdk


def _about(gateway: Gateway) -> tuple[object, ...]:
    """What clients are told of a server, and what its SDK is opened with."""
    section, catalogue = gateway.profile.server, gateway.catalogue
    identity = (section.name, section.title, section.instructions, bool(catalogue.federation.servers))
    offered = (catalogue.offers("resources"), catalogue.offers("prompts"), catalogue.completes)
    sessions = (section.sessions, section.session_timeout, section.max_sessions, section.connections.body_timeout)
    return identity, offered, section.response, section.max_body_size, sessions, section.front
