"""The MCP SDK's side of HTTP: a server and its session manager, as one ASGI application that runs."""

from __future__ import annotations

from typing import cast

import trio
from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from gateway.assembly import Gateway
from gateway.assembly.gateway import Users
from gateway.serving.mcp_server import build_server, identity_of
from gateway.serving.notify import Notifier
from gateway.serving.sessions import SessionGuard, end_sessions
from gateway.serving.spans import within_traces
from gateway.telemetry.tracing import tracing


class Endpoint:
    """Answers requests to MCP's path, for the gateway that it was last told to use. `run` is the service."""

    def __init__(self, gateway: Gateway, stop: trio.Event) -> None:
        section = gateway.profile.server
        self._about = _about(gateway)
        self._over = trio.Event()
        self._requests = Users()
        self._drain_timeout = section.drain_timeout
        self._notifier = Notifier(gateway.changes, gateway.catalogue)
        self._server = build_server(gateway, self._notifier, remembers=section.sessions)
        self._manager = StreamableHTTPSessionManager(
            self._server,
            json_response=section.response == "json",
            stateless=not section.sessions,
            session_idle_timeout=section.session_timeout,
            max_sessions=section.max_sessions,
            max_request_body_size=section.max_body_size,
        )
        self.asgi_app = self._manager.asgi_app
        """The SDK's own application, for questions from within."""
        app = cast("ASGIFramework", self.asgi_app)
        if tracing():
            app = within_traces(app)
        if section.sessions:
            app = cast("ASGIFramework", SessionGuard(app, stop, section.connections.body_timeout))
        self._app = app

    def serves(self, gateway: Gateway) -> bool:
        """Whether it can go on with this one: another one has to be built where clients were told something else."""
        return _about(gateway) == self._about

    def use(self, gateway: Gateway) -> None:
        """Answer for another gateway from now on, which it `serves`."""
        self._server.use(gateway)
        self._drain_timeout = gateway.profile.server.drain_timeout

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """One request."""
        with self._requests:
            await self._app(scope, receive, send)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until `end` was called and what was under way has ended, for at most `server.drain_timeout`."""
        async with self._manager.run():
            async with trio.open_nursery() as notifying:
                await notifying.start(self._notifier.run)
                task_status.started()
                await self._over.wait()
                notifying.cancel_scope.cancel()
            with trio.move_on_after(self._drain_timeout):
                await self._requests.wait_none()
            await end_sessions(self._manager)

    def end_streams(self) -> None:
        """End the streams of those who listen, each with its final answer: a drain would wait for them."""
        self._notifier.close()

    def end(self) -> None:
        """Nobody asks any more: another one has taken its place, or nobody listens."""
        self.end_streams()
        self._over.set()


def _about(gateway: Gateway) -> tuple[object, ...]:
    """What an endpoint is built of."""
    section = gateway.profile.server
    sessions = (section.sessions, section.session_timeout, section.max_sessions, section.connections.body_timeout)
    return identity_of(gateway), section.response, section.max_body_size, sessions
