"""A small MCP server of the handshake era (2025-11-25), without the SDK: one tool, over HTTP or over lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import trio

from tests.fakes.faults import GONE
from tests.fakes.http_server import HttpServer, Request, answer

Known = Callable[[int], dict[str, Any]]
"""What there is under a number."""

TOOL: dict[str, Any] = {
    "name": "get",
    "description": "A document.",
    "inputSchema": {
        "type": "object",
        "properties": {"number": {"type": "integer"}},
        "required": ["number"],
        "additionalProperties": False,
    },
    "annotations": {"readOnlyHint": True, "openWorldHint": False},
}


def reply(known: Known, message: dict[str, Any]) -> dict[str, Any] | None:
    """What the server says to a message; nothing to a notification."""
    if "id" not in message:
        return None
    about = {"jsonrpc": "2.0", "id": message["id"]}
    params = message.get("params", {})
    result: dict[str, Any]
    match message["method"]:
        case "initialize":
            server = {"name": "documents", "version": "1"}
            result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": server}
        case "tools/list":
            result = {"tools": [TOOL]}
        case "tools/call":
            found = known(params["arguments"]["number"])
            content = [{"type": "text", "text": json.dumps(found)}]
            result = {"content": content, "structuredContent": found, "isError": False}
        case "ping":
            result = {}
        case _:
            return {**about, "error": {"code": -32601, "message": "Method not found"}}
    return {**about, "result": result}


_UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"


def over_http(
    server: HttpServer,
    known: Known,
    *,
    framing: str = "length",
    written: Callable[[bytes], bytes] = lambda message: message,
) -> None:
    """Answer at /mcp, each request by one JSON body or, "chunked", by an event stream; `written` changes what is sent.

    "close" is a body of which the end is the connection's.
    """

    async def handler(request: Request, connection: trio.SocketStream) -> None:
        if request.method == "GET":
            await connection.send_all(answer(status="405 Method Not Allowed"))
            return
        said = reply(known, json.loads(request.body)) if request.method == "POST" else None
        if said is None:
            await connection.send_all(answer(status="202 Accepted", content_type=""))
            return
        message = written(json.dumps(said).encode())
        if framing == "chunked":
            await connection.send_all(_event_stream(message))
        elif framing == "close":
            await connection.send_all(_UNTIL_CLOSED + message)
            await connection.aclose()
        else:
            await connection.send_all(answer(message))

    server.on("/mcp", handler)


def _event_stream(message: bytes) -> bytes:
    """One event, in two chunks, and the end."""
    event = b"event: message\r\ndata: " + message + b"\r\n\r\n"
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (event[:80], event[80:], b""))
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks


async def over_lines(known: Known, stream: trio.SocketStream) -> None:
    """A message a line, until the other side ends; a line that a fault has cut into is passed over, as SDKs do."""
    buffer = b""
    with suppress(*GONE):
        async for data in stream:
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                try:
                    message = json.loads(line)
                except ValueError:
                    continue
                said = reply(known, message)
                if said is not None:
                    await stream.send_all(json.dumps(said).encode() + b"\n")
