"""MCP as bytes: the requests of a load test in both eras, and what an answer says. Pure.

Sources: the specification of 2026-07-28 (per-request `_meta`, the headers MCP-Protocol-Version, Mcp-Method, Mcp-Name)
and of 2025-11-25 (initialize, Mcp-Session-Id).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from gateway import __version__
from gateway.loading.model import INPUT_REQUIRED, INVALID, TOOL_ERROR, Call, Era, Reply

VERSIONS: Mapping[Era, str] = {"modern": "2026-07-28", "handshake": "2025-11-25"}

_CLIENT = {"name": "gateway-load", "version": __version__}
_ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": VERSIONS["modern"],
    "io.modelcontextprotocol/clientInfo": _CLIENT,
    "io.modelcontextprotocol/clientCapabilities": {},
}
_META = orjson.dumps(_ENVELOPE)
_SHOWN = 200

DISCOVER = "server/discover"
INITIALIZED = orjson.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"})


def call_body(era: Era, number: int, call: Call) -> bytes:
    """The request of a tool call, on one line."""
    name, arguments = orjson.dumps(call.tool), orjson.dumps(call.arguments)
    if era == "modern":
        form = b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%b,"arguments":%b,"_meta":%b}}'
        return form % (number, name, arguments, _META)
    form = b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%b,"arguments":%b}}'
    return form % (number, name, arguments)


def discover_body(number: int) -> bytes:
    """The request that only a server of 2026 answers."""
    params = {"_meta": _ENVELOPE}
    return orjson.dumps({"jsonrpc": "2.0", "id": number, "method": DISCOVER, "params": params})


def initialize_body(number: int) -> bytes:
    """The request that begins a session of the handshake era."""
    params = {"protocolVersion": VERSIONS["handshake"], "capabilities": {}, "clientInfo": _CLIENT}
    return orjson.dumps({"jsonrpc": "2.0", "id": number, "method": "initialize", "params": params})


def header_value(value: str) -> str:
    """A tool's name as the header Mcp-Name has it: as it is, or in base64 where a header can't hold it."""
    plain = value.isascii() and value.isprintable() and value == value.strip() and not value.startswith("=?")
    return value if plain else f"=?base64?{base64.b64encode(value.encode()).decode()}?="


def messages(body: bytes, content_type: bytes) -> Iterator[Any]:
    """Every JSON value of an answer: of a JSON body, or of each event of an event stream. Raises ValueError."""
    if not content_type.lower().startswith(b"text/event-stream"):
        yield orjson.loads(body)
        return
    for block in body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n"):
        lines = [line[5:].removeprefix(b" ") for line in block.split(b"\n") if line.startswith(b"data:")]
        if data := b"\n".join(lines):
            yield orjson.loads(data)


def answer_to(number: int, body: bytes, content_type: bytes) -> dict[str, Any]:
    """The answer to the request `number` in what came back. Raises ValueError where there is none."""
    for message in messages(body, content_type):
        if isinstance(message, dict) and message.get("id") == number and ("result" in message or "error" in message):
            return message
    raise ValueError("it does not answer the request")


def judged(message: Mapping[str, Any], size: int) -> Reply:
    """What came of a tool call whose answer is `message`."""
    error = message.get("error")
    if error is not None:
        code = error.get("code") if isinstance(error, dict) else None
        if not isinstance(code, int):
            return Reply(size, INVALID, "an error without a code")
        return Reply(size, f"JSON-RPC {code}", str(error.get("message", ""))[:_SHOWN])
    result = message.get("result")
    if not isinstance(result, dict):
        return Reply(size, INVALID, "a result that is no object")
    if result.get("isError"):
        return Reply(size, TOOL_ERROR, _text(result))
    if result.get("resultType", "complete") != "complete":
        return Reply(size, INPUT_REQUIRED, str(result["resultType"])[:_SHOWN])
    return Reply(size)


def _text(result: Mapping[str, Any]) -> str:
    content = result.get("content")
    first = content[0] if isinstance(content, list) and content else {}
    return str(first.get("text", ""))[:_SHOWN] if isinstance(first, dict) else ""
