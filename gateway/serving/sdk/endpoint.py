"""The MCP SDK's side of HTTP: a server and its session manager, as one ASGI application that runs."""

from __future__ import annotations

from typing import cast

import trio
from hypercorn.typing import ASGIFramework
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from gateway.assembly import Gateway
from gateway.serving.sdk.notify import Notifier
from gateway.serving.sdk.server import build_server
from gateway.serving.sdk.sessions import SessionGuard, end_sessions
from gateway.serving.sdk.spans import within_traces
from gateway.telemetry.tracing import tracing


class SdkEndpoint:
    """Answers requests to MCP's path, for the gateway that it was last told to use. `run` is the service."""

    def __init__(self, gateway: Gateway, stop: trio.Event) -> None:
        section = gateway.profile.server
        self._over = trio.Event()
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
        app = cast("ASGIFramework", self._manager.asgi_app)
        if tracing():
            app = within_traces(app)
        if section.sessions:
            app = cast("ASGIFramework", SessionGuard(app, stop, section.connections.body_timeout))
        self.app = app
        """Answers requests while it runs."""

    def use(self, gateway: Gateway) -> None:
        """Answer for another gateway from now on, which says the same of itself."""
        self._server.use(gateway)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until `end` was called, and end the sessions then."""
        async with self._manager.run(), trio.open_nursery() as notifying:
            await notifying.start(self._notifier.run)
            task_status.started()
            await self._over.wait()
            await end_sessions(self._manager)
            notifying.cancel_scope.cancel()

    def end_streams(self) -> None:
        """End the streams of those who listen, each with its final answer: a drain would wait for them."""
        self._notifier.close()

    def end(self) -> None:
        """Nobody asks any more, and nothing is under way."""
        self._over.set()
