"""Questions to the SDK's HTTP endpoint from within the process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import trio

from gateway.serving.direct.envelope import Envelope

App = Callable[..., Awaitable[None]]
"""An application of ASGI 3."""

_HEADERS = [(b"content-type", b"application/json"), (b"accept", b"application/json, text/event-stream")]


class AskSdk:
    """Asks an ASGI application, as a client over HTTP would."""

    def __init__(self, app: App, path: str) -> None:
        self._app = app
        self._path = path

    async def __call__(self, body: bytes, envelope: Envelope) -> tuple[int, bytes]:
        """The status and the body of the answer to `body`; can be cancelled."""
        said = {"mcp-protocol-version": envelope.version, "mcp-method": envelope.method, "mcp-name": envelope.name}
        headers = [(name.encode(), value.encode("latin-1")) for name, value in said.items() if value is not None]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": self._path,
            "raw_path": self._path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [*_HEADERS, *headers],
            "client": None,
            "server": None,
        }
        events: list[MutableMapping[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            if not events:
                await trio.sleep_forever()  # the client does not go away
            return events.pop()

        async def send(event: MutableMapping[str, Any]) -> None:
            await trio.lowlevel.checkpoint()
            sent.append(event)

        await self._app(scope, receive, send)
        status = next((event["status"] for event in sent if event["type"] == "http.response.start"), 0)
        return status, b"".join(event.get("body", b"") for event in sent if event["type"] == "http.response.body")
