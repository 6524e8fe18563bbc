"""Requests to an MCP endpoint as bytes, good, odd and hostile, in both eras: what the front and the SDK agree on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

MODERN = "2026-07-28"
PROTOCOL, CAPABILITIES, CLIENT, LOG_LEVEL = (
    f"io.modelcontextprotocol/{key}" for key in ("protocolVersion", "clientCapabilities", "clientInfo", "logLevel")
)
META = {PROTOCOL: MODERN, CAPABILITIES: {}}
BASE = (("Host", "localhost"), ("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream"))
INITIALIZE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}

Header = tuple[str, str]


def http(
    body: bytes | str, *headers: Header, first: str = "POST /mcp HTTP/1.1", base: tuple[Header, ...] = BASE
) -> bytes:
    """A request with a length."""
    data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    lines = [first, *(f"{name}: {value}" for name, value in (*base, *headers)), f"Content-Length: {len(data)}"]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + data


def without(*names: str) -> tuple[Header, ...]:
    """The usual headers, but for some."""
    return tuple(header for header in BASE if header[0] not in names)


def rpc(method: str, params: Any = None, id_: Any = 1, **more: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": id_, "method": method, "params": params, **more})


def routed(method: str, name: str | None = None, version: str = MODERN) -> list[Header]:
    """The headers of the modern era."""
    named = [] if name is None else [("Mcp-Name", name)]
    return [("MCP-Protocol-Version", version), ("Mcp-Method", method), *named]


def called(arguments: Any, id_: Any = 1, *, modern: bool, name: Any = "doc", meta: Any = META, **more: Any) -> bytes:
    """tools/call in either era."""
    params = {"name": name, "arguments": arguments, **more}
    if not modern:
        return http(rpc("tools/call", params, id_))
    return http(rpc("tools/call", {**params, "_meta": meta}, id_), *routed("tools/call", str(name)))


def _bodies(*, modern: bool) -> Iterator[tuple[str, str | bytes]]:
    """Spellings of one call, and what is none."""
    meta = {"_meta": META} if modern else {}
    params = {"name": "doc", "arguments": {"name": "a"}, **meta}
    good = rpc("tools/call", params)
    yield "good", good
    yield "spaces", f"\r\n \t{json.dumps(json.loads(good), indent=3)}\n\n"
    yield "escapes", good.replace("doc", "\\u0064oc").replace('"a"', '"\\u0061"')
    yield "bom", b"\xef\xbb\xbf" + good.encode()
    yield "utf-16", good.encode("utf-16")
    yield "no utf-8", good.replace('"a"', '"\udc80"').encode("utf-8", "surrogateescape")
    yield "lone surrogate", good.replace('"a"', '"\\ud800"')
    yield "surrogate pair", good.replace('"a"', '"\\ud83d\\ude00"')
    yield "raw lone surrogate", good.replace('"a"', '"\ud800"')
    yield "control character", good.replace('"a"', '"\x01"')
    yield "del", good.replace('"a"', '"\x7f"')
    yield "null character", good.replace('"a"', '"\\u0000"')
    yield "empty", ""
    yield "blank", "  "
    yield "truncated", good[:-1]
    yield "trailing", good + "x"
    yield "two", good + good
    yield "array", f"[{good}]"
    yield "empty array", "[]"
    yield "string", '"tools/call"'
    yield "null", "null"
    yield "number", "1"
    yield "duplicate id", good.replace('"id": 1', '"id": 1, "id": 2')
    yield "duplicate method", good.replace('"method": ', '"method": "ping", "method": ')
    yield "duplicate argument", good.replace('"name": "a"', '"name": "b", "name": "a"')
    yield "comment", good.replace("{", "{/**/", 1)
    yield "trailing comma", good[:-1] + ",}"
    yield "single quotes", good.replace('"', "'")
    for value in ("NaN", "Infinity", "-Infinity", "1e400", "-0", "-0.0", "1.0", "1E0", "01", "+1", ".5", "1.", "0x1"):
        yield f"number {value}", good.replace('"a"}', f'"a", "n": {value}}}')
    for digits in (18, 19, 20, 30, 400, 5000):
        yield f"{digits} digits", good.replace('"a"}', f'"a", "n": {"9" * digits}}}')
        yield f"{digits} decimals", good.replace('"a"}', f'"a", "n": 0.{"3" * digits}}}')
    for depth in (20, 90, 150, 250, 900, 1100, 5000):
        yield f"depth {depth}", good.replace('"a"}', f'"a", "deep": {"[" * depth}{"]" * depth}}}')
    for key, value in (
        ("jsonrpc", '"1.0"'),
        ("jsonrpc", "2.0"),
        ("jsonrpc", "null"),
        ("id", "null"),
        ("id", "true"),
        ("id", "1.0"),
        ("id", "1.5"),
        ("id", "-1"),
        ("id", "0"),
        ("id", "{}"),
        ("id", "[1]"),
        ("id", '""'),
        ("id", '"é\\u0001\\"\\\\/"'),
        ("id", '"\\ud83d\\ude00"'),
        ("id", '"\x7f"'),
        ("id", '"1"'),
        ("id", "9007199254740993"),
        ("id", "9223372036854775808"),
        ("id", "123456789012345678901234567890"),
        ("id", f'"{"x" * 70_000}"'),
        ("method", "null"),
        ("method", "1"),
        ("method", '""'),
        ("method", '"tools/Call"'),
        ("method", '"nothing"'),
        ("params", "null"),
        ("params", "[]"),
        ("params", "[1]"),
        ("params", '"x"'),
        ("params", "{}"),
    ):
        parts = {name: json.dumps(part) for name, part in json.loads(good).items()} | {key: value}
        yield f"{key} {value[:40]}", "{" + ", ".join(f'"{name}": {part}' for name, part in parts.items()) + "}"
    for key in ("jsonrpc", "id", "method", "params"):
        yield f"no {key}", json.dumps({name: part for name, part in json.loads(good).items() if name != key})
    yield "extra member", json.dumps({**json.loads(good), "more": 1})
    yield "a result", json.dumps({"jsonrpc": "2.0", "id": 1, "result": {}})
    yield "an error", json.dumps({"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "m"}})
    yield "request and result", json.dumps({**json.loads(good), "result": {}})


def _params(*, modern: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """Parameters of tools/call."""
    given: Mapping[str, Any] = {
        "none": None,
        "empty": {},
        "array": [],
        "text": "a",
        "unknown name": {"name": "b"},
        "extra": {"name": "a", "x": 1},
        "spelled": {"name": " A "},
        "null": {"name": None},
        "a number": {"name": 1},
        "default given": {"name": "a", "n": 5},
        "integral float": {"name": "a", "n": 5.0},
        "other": {"name": "a", "n": 6},
        "true": {"name": "a", "n": True},
        "long": {"name": "a", "deep": "x" * 600},
        "very long": {"name": "x" * 20_000},
        "unicode": {"name": "é€😀"},
        "nested": {"name": "a", "deep": {"b": [1, 2.5, None, {"c": "d"}]}},
        "cursor": {"name": "a", "cursor": "x"},
        "order": {"n": 5, "name": "a"},
        "slash": {"name": "../a"},
        "control": {"name": "a\n"},
        "text of a": {"name": "text"},
    }
    for name, arguments in given.items():
        yield f"arguments {name}", {"name": "doc", "arguments": arguments}
    yield "no arguments", {"name": "doc"}
    yield "long answer", {"name": "long", "arguments": {}}
    yield "unicode answer", {"name": "doc", "arguments": {"name": "unicode"}}
    yield "text answer", {"name": "text", "arguments": {}}
    yield "not cached", {"name": "changing", "arguments": {}}
    yield "with a header", {"name": "headed", "arguments": {"region": "x"}}
    names: Sequence[Any] = ("nothing", "", "Doc", "doc ", "é", None, 1, ["doc"])
    for tool in names:
        yield f"tool {tool}", {"name": tool, "arguments": {"name": "a"}}
    yield "no name", {"arguments": {"name": "a"}}
    yield "a task", {"name": "doc", "arguments": {"name": "a"}, "task": {"ttl": 1}}
    yield "responses", {"name": "doc", "arguments": {"name": "a"}, "inputResponses": {}, "requestState": "x"}
    yield "another parameter", {"name": "doc", "arguments": {"name": "a"}, "other": 1}
    base = META if modern else {}
    metas: Mapping[str, dict[str, Any]] = {
        "token": {"progressToken": 1},
        "text token": {"progressToken": "é"},
        "token true": {"progressToken": True},
        "token 1.5": {"progressToken": 1.5},
        "token null": {"progressToken": None},
        "token object": {"progressToken": {}},
        "other": {"example.org/x": {"y": [1]}},
        "trace": {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"},
        "no-cache": {"gateway/cache": {"no-cache": False}},
        "wrong directive": {"gateway/cache": {"x": 1}},
        "max-age": {"gateway/cache": {"max-age": 1e6}},
        "client": {CLIENT: {"name": "c", "version": "1"}},
        "client without version": {CLIENT: {"name": "c"}},
        "client text": {CLIENT: "c"},
        "client null": {CLIENT: None},
        "log level": {LOG_LEVEL: "info"},
        "wrong log level": {LOG_LEVEL: "loud"},
        "version number": {PROTOCOL: 1},
        "another version": {PROTOCOL: "2025-11-25"},
        "unknown version": {PROTOCOL: "2030-01-01"},
        "version null": {PROTOCOL: None},
        "capabilities": {CAPABILITIES: {"roots": {"listChanged": True}, "x": 1}},
        "wrong capabilities": {CAPABILITIES: []},
        "capabilities null": {CAPABILITIES: None},
        "wrong roots": {CAPABILITIES: {"roots": 1}},
    }
    for name, meta in metas.items():
        yield f"meta {name}", {"name": "doc", "arguments": {"name": "a"}, "_meta": {**base, **meta}}
    wrong: Mapping[str, Any] = {"null": None, "text": "x", "array": [], "empty": {}, "half": {PROTOCOL: MODERN}}
    for name, odd in wrong.items():
        yield f"meta {name}", {"name": "doc", "arguments": {"name": "a"}, "_meta": odd}


def _headers(*, modern: bool) -> Iterator[tuple[str, bytes]]:
    """A good call under other headers."""
    meta = {"_meta": META} if modern else {}
    body = rpc("tools/call", {"name": "doc", "arguments": {"name": "a"}, **meta})
    usual = routed("tools/call", "doc") if modern else []
    for value in (
        "application/json",
        "application/json; charset=utf-8",
        "application/json;x",
        "APPLICATION/JSON",
        "application/jsonx",
        "application/json-patch+json",
        "text/plain",
        "application/json, text/plain",
        "text/plain, application/json",
        "",
        " application/json ",
        "application/*",
        "*/*",
    ):
        yield f"type {value}", http(body, ("Content-Type", value), *usual, base=without("Content-Type"))
    for value in (
        "application/json",
        "*/*",
        "application/*",
        "text/event-stream",
        "text/*",
        "text/html",
        "",
        "application/json;q=0",
        "APPLICATION/JSON",
        "application/jsonx",
        "text/event-stream, application/json",
        "*/*;q=0.1",
        "application/json,",
    ):
        yield f"accept {value}", http(body, ("Accept", value), *usual, base=without("Accept"))
    for value in (
        "localhost:1",
        "LOCALHOST",
        "127.0.0.1",
        "[::1]:80",
        "evil.example",
        "localhost.evil",
        "",
        "localhost:x",
    ):
        yield f"host {value}", http(body, ("Host", value), *usual, base=without("Host"))
    for value in (
        "http://localhost",
        "http://localhost:99",
        "https://evil.example",
        "null",
        "http://localhost.evil",
        "",
    ):
        yield f"origin {value}", http(body, ("Origin", value), *usual)
    for name in ("Host", "Content-Type", "Accept"):
        yield f"no {name}", http(body, *usual, base=without(name))
        yield f"two of {name}", http(body, (name, dict(BASE)[name]), *usual)
    for value in ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2030-01-01", "", "x", "2025-11-25 "):
        said = routed("tools/call", "doc", value) if modern else [("MCP-Protocol-Version", value)]
        yield f"version {value}", http(body, *said)
    yield "two versions", http(body, *usual, ("MCP-Protocol-Version", MODERN), ("MCP-Protocol-Version", "2025-11-25"))
    for more in (
        ("Mcp-Session-Id", "abc"),
        ("Last-Event-Id", "1"),
        ("Authorization", "Bearer x"),
        ("Connection", "close"),
        ("Connection", "keep-alive"),
        ("Accept-Encoding", "gzip"),
        ("Accept-Encoding", "zstd, gzip;q=0.5"),
        ("Accept-Encoding", "*"),
        ("Accept-Encoding", "identity"),
        ("Accept-Encoding", "gzip;q=0"),
        ("X-Empty", ""),
        ("Mcp-Param-Region", "x"),
        ("Content-Encoding", "gzip"),
        ("Cookie", "a=b"),
        ("X-Long", "y" * 5000),
        ("Forwarded", "for=1"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "doc"),
        ("Mcp-Name", "=?base64?ZG9j?="),
    ):
        yield f"with {more[0]}: {more[1][:30]}", http(body, *usual, more)
    for name in ("doc", "Doc", "other", "=?base64?ZG9j?=", "=?base64?eA==?=", "=?base64?%?=", "", " doc "):
        yield f"named {name}", http(body, *routed("tools/call"), ("Mcp-Name", name))
    for method in ("tools/call", "tools/list", "Tools/Call", ""):
        yield f"routed as {method}", http(body, *routed(method, "doc"))
    yield "not routed", http(body, ("MCP-Protocol-Version", MODERN))


def _others(*, modern: bool) -> Iterator[tuple[str, bytes]]:
    """Other methods."""
    for method in (
        "initialize",
        "ping",
        "tools/list",
        "resources/list",
        "resources/templates/list",
        "prompts/list",
        "server/discover",
        "resources/read",
        "prompts/get",
        "completion/complete",
        "logging/setLevel",
        "nothing",
        "",
    ):
        for name, params in {"none": None, "empty": {}, "cursor": {"cursor": "x"}, "more": {"x": 1}}.items():
            if modern:
                yield f"{method} {name}", http(rpc(method, {**(params or {}), "_meta": META}), *routed(method))
            else:
                yield f"{method} {name}", http(rpc(method, params))
    yield "ping without params", http('{"jsonrpc":"2.0","id":"p","method":"ping"}', *(routed("ping") if modern else []))
    yield (
        "list with a token",
        http(
            rpc("tools/list", {"_meta": {**(META if modern else {}), "progressToken": 7}}, "é"),
            *(routed("tools/list") if modern else []),
        ),
    )
    changes: Mapping[str, dict[str, Any]] = {
        "good": {},
        "older": {"protocolVersion": "2024-11-05"},
        "newer": {"protocolVersion": "2030-01-01"},
        "modern": {"protocolVersion": MODERN},
        "a number": {"protocolVersion": 1},
        "no client": {"clientInfo": None},
        "capable": {"capabilities": {"roots": {}, "sampling": {}}},
        "wrong capabilities": {"capabilities": 1},
        "token": {"_meta": {"progressToken": 1}},
        "more": {"more": 1},
    }
    for name, change in changes.items():
        yield (
            f"initialize {name}",
            http(rpc("initialize", {**INITIALIZE, **change}), *(routed("initialize") if modern else [])),
        )
    notifications: Mapping[str, dict[str, Any]] = {
        "initialized": {"method": "notifications/initialized"},
        "initialized with params": {"method": "notifications/initialized", "params": {}},
        "initialized with meta": {"method": "notifications/initialized", "params": {"_meta": {"x": 1}}},
        "cancelled": {"method": "notifications/cancelled", "params": {"requestId": 1}},
        "unknown": {"method": "notifications/unknown"},
        "with an id": {"method": "notifications/initialized", "id": None},
        "without version": {"jsonrpc": "1", "method": "notifications/initialized"},
    }
    for name, notification in notifications.items():
        body = json.dumps({"jsonrpc": "2.0", **notification})
        yield f"notification {name}", http(body, *(routed(str(notification["method"])) if modern else []))


def _framing() -> Iterator[tuple[str, bytes]]:
    """Other HTTP around a good call."""
    body = rpc("tools/call", {"name": "doc", "arguments": {"name": "a"}})
    for first in (
        "POST /mcp?x=1 HTTP/1.1",
        "POST /mcp/ HTTP/1.1",
        "POST / HTTP/1.1",
        "POST //mcp HTTP/1.1",
        "POST /MCP HTTP/1.1",
        "POST /%6dcp HTTP/1.1",
        "POST http://localhost/mcp HTTP/1.1",
        "PUT /mcp HTTP/1.1",
        "PATCH /mcp HTTP/1.1",
        "DELETE /mcp HTTP/1.1",
        "OPTIONS /mcp HTTP/1.1",
        "POST /mcp HTTP/1.0",
        "POST  /mcp HTTP/1.1",
        "POST /mcp  HTTP/1.1",
        "\nPOST /mcp HTTP/1.1",
    ):
        yield first, http(body, ("Connection", "close"), first=first)
    yield "GET", b"GET /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nConnection: close\r\n\r\n"
    yield "GET elsewhere", b"GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    yield "HEAD", b"HEAD /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    data = body.encode()
    head = b"POST /mcp HTTP/1.1\r\nhOST:localhost\r\ncontent-TYPE:\tapplication/json \r\naccept:*/*\r\n"
    yield "odd spelling of headers", head + b"content-length: %d\r\n\r\n" % len(data) + data
    chunks = b"%x\r\n%b\r\n%x;x=y\r\n%b\r\n0\r\nTrailer: x\r\n\r\n" % (5, data[:5], len(data) - 5, data[5:])
    yield "chunked", head + b"transfer-encoding: chunked\r\n\r\n" + chunks
    yield "no body", http("")
    yield "a length with zeros", head + b"content-length: 000%d\r\n\r\n" % len(data) + data
    yield "too large", http(" " * 300_000 + body)
    yield "expect", http(body, ("Expect", "100-continue"), ("Connection", "close"))


def requests() -> dict[str, bytes]:
    """Every request by its name."""
    found: dict[str, bytes] = {}
    for era in ("handshake", "modern"):
        modern = era == "modern"
        usual = routed("tools/call", "doc") if modern else []
        for name, body in _bodies(modern=modern):
            found[f"{era}: body: {name}"] = http(body, *usual)
        for name, params in _params(modern=modern):
            sent: Mapping[str, Any] = {"_meta": META, **params} if modern else params
            named = str(params.get("name", ""))
            encoded = named if named.isascii() else "doc"
            found[f"{era}: {name}"] = http(rpc("tools/call", sent), *(routed("tools/call", encoded) if modern else []))
        for name, request in (*_headers(modern=modern), *_others(modern=modern)):
            found[f"{era}: {name}"] = request
    found.update((f"framing: {name}", request) for name, request in _framing())
    return found
