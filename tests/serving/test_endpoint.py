from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import trio
from hypercorn.typing import ASGIFramework

from gateway.assembly import open_gateway
from gateway.profile.loader import load_profile
from gateway.serving.at_path import at_path
from gateway.serving.endpoint import Endpoint

HEADERS = [
    (b"host", b"localhost"),
    (b"content-type", b"application/json"),
    (b"accept", b"application/json, text/event-stream"),
]
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}
PROFILE = """
[server]
sessions = true
[cache.disk]
enabled = false
"""

Ended = Callable[[], Coroutine[Any, Any, None]]


async def ask(
    app: Any, method: str, body: Any = None, session: bytes | None = None, ended: Ended | None = None
) -> list[dict[str, Any]]:
    """What an application sends in answer; `ended` is called when that is complete."""
    headers = HEADERS if session is None else [*HEADERS, (b"mcp-session-id", session)]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": "/mcp",
        "raw_path": b"/mcp",
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    content = b"" if body is None else json.dumps(body).encode()
    events = [{"type": "http.request", "body": content, "more_body": False}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not events:
            await trio.sleep_forever()
        return events.pop()

    async def send(event: dict[str, Any]) -> None:
        await trio.lowlevel.checkpoint()
        sent.append(event)
        if ended is not None and event["type"] == "http.response.body" and not event.get("more_body"):
            await ended()

    await app(scope, receive, send)
    return sent


async def test_a_session_that_ends_while_a_notification_is_on_its_way(tmp_path: Path, nursery: trio.Nursery) -> None:
    """Its client has the answer to that already, and gets no second one: hypercorn would take it for a mistake."""
    (tmp_path / "p.toml").write_text(PROFILE)
    profile = load_profile("p", environ={}, cwd=tmp_path, folders=[tmp_path]).profile
    async with open_gateway(profile, {}, ahead=False) as gateway:
        endpoint = Endpoint(gateway, trio.Event())
        await nursery.start(endpoint.run)
        app = at_path("/mcp", cast("ASGIFramework", endpoint), streams=True)
        begun = await ask(app, "POST", INITIALIZE)
        session = dict(begun[0]["headers"])[b"mcp-session-id"]
        over: list[dict[str, Any]] = []

        async def end() -> None:
            over.extend(await ask(app, "DELETE", session=session))

        told = await ask(app, "POST", {"jsonrpc": "2.0", "method": "notifications/initialized"}, session, end)
        assert over[0]["status"] == 200
        assert [event["status"] for event in told if event["type"] == "http.response.start"] == [202]
        endpoint.end()
