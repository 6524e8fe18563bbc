from __future__ import annotations

import errno
import importlib
import json
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest
import structlog
import trio
import trio.testing
from hypercorn.typing import ASGIFramework

from gateway.assembly import open_gateway
from gateway.profile.loader import load_profile
from gateway.serving.at_path import at_path
from gateway.serving.endpoint import Endpoint
from gateway.serving.protocol import CLIENT_CAPABILITIES, MODERN_VERSION, PROTOCOL_VERSION

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
    app: Any,
    method: str,
    body: Any = None,
    session: bytes | None = None,
    ended: Ended | None = None,
    version: str | None = None,
) -> list[dict[str, Any]]:
    """What an application sends in answer; `ended` is called when that is complete."""
    headers = HEADERS if session is None else [*HEADERS, (b"mcp-session-id", session)]
    if version is not None:
        headers = [*headers, (b"mcp-protocol-version", version.encode()), (b"mcp-method", body["method"].encode())]
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


LISTEN = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "subscriptions/listen",
    "params": {
        "notifications": {"toolsListChanged": True},
        "_meta": {PROTOCOL_VERSION: MODERN_VERSION, CLIENT_CAPABILITIES: {}},
    },
}
ALONE = "[cache.disk]\nenabled = false\n"


@asynccontextmanager
async def endpoint_of(folder: Path, text: str) -> AsyncIterator[Endpoint]:
    """An endpoint that runs, and is ended."""
    (folder / "p.toml").write_text(text)
    profile = load_profile("p", environ={}, cwd=folder, folders=[folder]).profile
    async with open_gateway(profile, {}, ahead=False) as gateway, trio.open_nursery() as nursery:
        endpoint = Endpoint(gateway, trio.Event())
        await nursery.start(endpoint.run)
        yield endpoint
        endpoint.end()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Imports take until this is set."""
    go_on, import_module = threading.Event(), importlib.import_module

    def importing(name: str) -> ModuleType:
        assert go_on.wait(60)
        return import_module(name)

    monkeypatch.setattr(importlib, "import_module", importing)
    return go_on


def status(sent: list[dict[str, Any]]) -> int:
    return int(sent[0]["status"])


async def test_whoever_listens_while_the_sdk_is_imported(tmp_path: Path, held: threading.Event) -> None:
    """At a stop meanwhile there is no stream that would hold it up: it is told to listen again."""
    sent: list[dict[str, Any]] = []
    async with endpoint_of(tmp_path, ALONE) as endpoint, trio.open_nursery() as nursery:

        async def listen() -> None:
            sent.extend(await ask(endpoint, "POST", LISTEN, version=MODERN_VERSION))

        nursery.start_soon(listen)
        await trio.testing.wait_all_tasks_blocked()
        endpoint.end_streams()
        held.set()
    assert b"listen again" in b"".join(event.get("body", b"") for event in sent)


async def test_a_request_that_comes_too_late(tmp_path: Path, held: threading.Event) -> None:
    """Once the drain is over it is told so, whether it came behind the end or has waited for the SDK through it."""
    sent: list[dict[str, Any]] = []
    hasty = "[server]\ndrain_timeout = '50ms'\n"
    async with trio.open_nursery() as nursery:
        async with endpoint_of(tmp_path, hasty + ALONE) as endpoint:

            async def wait() -> None:
                sent.extend(await ask(endpoint, "POST", INITIALIZE))

            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
        assert status(await ask(endpoint, "POST", INITIALIZE)) == 503
        held.set()
    assert status(sent) == 503


async def test_an_import_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is for the log; the next request tries again."""
    import_module = importlib.import_module

    def failing(_: str) -> ModuleType:
        monkeypatch.setattr(importlib, "import_module", import_module)
        raise OSError(errno.EMFILE, "too many open files")

    async with endpoint_of(tmp_path, ALONE) as endpoint:
        monkeypatch.setattr(importlib, "import_module", failing)
        with structlog.testing.capture_logs() as logs:
            assert status(await ask(endpoint, "POST", INITIALIZE)) == 500
        assert [line["event"] for line in logs] == ["the MCP SDK can't be opened, and requests need it"]
        assert status(await ask(endpoint, "POST", INITIALIZE)) == 200
