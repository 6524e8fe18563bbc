"""MCP at its one path, and nothing beside it."""

from __future__ import annotations

from typing import cast

import trio
from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope

from gateway.serving.hosts import answer


def at_path(path: str, app: ASGIFramework, *, streams: bool) -> ASGIFramework:
    """`app` at one path; anything else is not found, and a GET only where there are `streams` of sessions."""

    async def dispatch(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        match scope["type"]:
            case "http" if scope["path"] == path and scope["method"] == "GET" and not streams:
                # The SDK would open a stream on which a server without sessions never has anything to say, and which
                # every stop would wait for. The answer for servers that offer none: MCP 2025-11-25, "Listening".
                await answer(send, 405, b"There is no event stream here: POST requests\n", (b"allow", b"POST"))
            case "http" if scope["path"] == path:
                await app(scope, receive, _to_the_end(send))
            case "http":
                await answer(send, 404, f"Not found; MCP is served at {path}\n".encode())
            case "websocket":
                await send({"type": "websocket.close", "code": 1000, "reason": "no websockets here"})

    return cast("ASGIFramework", dispatch)


def _to_the_end(send: ASGISendCallable) -> ASGISendCallable:
    """`send`, which can't be cancelled at the end of an answer, and sends nothing after it.

    Hypercorn tells the application then that the client is gone, and the SDK cancels what it streams at that: within
    its last `send`, which would leave the connection open and never taken for idle, also in a drain. Where a session
    ends while a notification of it is on its way, the SDK would answer that a second time.
    """
    ended = False

    async def sending(event: ASGISendEvent) -> None:
        nonlocal ended
        if ended:
            return
        # Starlette leaves `more_body` out where it is false, as ASGI allows.
        ended = event["type"] == "http.response.body" and not event.get("more_body")
        with trio.CancelScope(shield=ended):
            await send(event)

    return sending
