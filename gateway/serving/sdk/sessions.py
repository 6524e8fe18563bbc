"""Sessions of the handshake era over HTTP: whose they are, and what a stop and a body that never ends do to them."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any, cast

import anyio
import trio
from hypercorn.typing import (
    ASGIFramework,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    Scope,
)
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from gateway.serving.admission import ANYONE, CLIENT
from gateway.serving.hosts import answer

_LATE = b"The body of the request took too long (server.connections.body_timeout)\n"


class SessionGuard:
    """An ASGI application in front of the SDK's, `app`, where that has sessions.

    A session is its client's, by the name that `CLIENT` has in the scope: to others it does not exist. Event streams
    that a client has opened (GET) end with `stop`. Bodies have to arrive within `body_timeout` seconds: hypercorn's own
    limit would end event streams and questions to people, too, and is off then.
    """

    def __init__(self, app: ASGIFramework, stop: trio.Event, body_timeout: float) -> None:
        self._app = app
        self._stop = stop
        self._body_timeout = body_timeout

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Pass the request on, with the user whom the SDK takes for the owner of a session."""
        owned = _owned(scope)
        if scope["type"] == "http" and scope["method"] == "GET":
            await self._stream(owned, receive, send)
        else:
            await self._patiently(owned, receive, send)

    async def _stream(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """A stop looks like a client that goes: the SDK ends the stream, though not the answer."""
        unfinished = False

        async def receive_or_stop() -> ASGIReceiveEvent:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._cancel_at_stop, nursery.cancel_scope)
                event = await receive()
                nursery.cancel_scope.cancel()
                return event
            return {"type": "http.disconnect"}

        async def watched(event: ASGISendEvent) -> None:
            nonlocal unfinished
            unfinished = event["type"] == "http.response.start" or bool(event.get("more_body"))
            await send(event)

        await self._app(scope, receive_or_stop, watched)
        if unfinished and self._stop.is_set():
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _cancel_at_stop(self, scope: trio.CancelScope) -> None:
        await self._stop.wait()
        scope.cancel()

    async def _patiently(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """The SDK's scope is cancelled when the body is late, for it would log a client that goes with a traceback."""
        with trio.CancelScope(deadline=trio.current_time() + self._body_timeout) as serving:

            async def receive_in_time() -> ASGIReceiveEvent:
                event = await receive()
                if event["type"] != "http.request" or not event.get("more_body"):
                    serving.deadline = math.inf
                return event

            # Of what it could not pass on it wants to tell the session, too, which its client has ended meanwhile.
            with suppress(anyio.ClosedResourceError):
                await self._app(scope, receive_in_time, send)
        if serving.cancelled_caught:
            await answer(send, 408, _LATE)


async def end_sessions(manager: StreamableHTTPSessionManager) -> None:
    """End every session, as if its client had: the SDK's own end would go on asking who was asked, for 5 seconds.

    That the manager keeps its sessions there is its own affair (mcp 2.3), and it has no other way to them.
    """
    for transport in list(manager._server_instances.values()):
        await transport.terminate()


def _owned(scope: Scope) -> Scope:
    """`scope` with the user that the SDK compares with who opened a session; none where clients have no names."""
    name = cast("dict[str, Any]", scope).get(CLIENT, ANYONE).name
    if not name:
        return scope
    user = AuthenticatedUser(AccessToken(token="", client_id=name, scopes=[]))
    return cast("Scope", {**scope, "user": user})
