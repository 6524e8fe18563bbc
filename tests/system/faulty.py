"""Upstreams of every kind behind faults: what the matrix of `test_faults` is made of."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Literal

import trio

from tests.fakes import faults, mcp_server, relay
from tests.fakes.fault_proxy import FaultProxy
from tests.fakes.faults import Fault
from tests.fakes.http_server import HttpServer, Request, answer, gzipped

Framing = Literal["length", "gzip", "chunked", "close"]
"""How the end of an answer is known: its length (also compressed), its last chunk, or the end of the connection."""


@dataclass(frozen=True, slots=True)
class Case:
    """A fault, and what comes of it where nothing is cached: the answer, or a sentence that matches `sentence`."""

    fault: Fault | None
    sentence: str | None = None
    framing: Framing = "length"

    @property
    def silent(self) -> bool:
        """Whether nothing comes back that could be told from an answer that is late."""
        return self.sentence is not None and _SILENT in self.sentence


def document(number: int, phase: int) -> dict[str, object]:
    """What the upstream knows under a number. The even ones change with the phase."""
    known = phase if number % 2 == 0 else 1
    return {"number": number, "phase": known, "text": f"{number}.{known} is right. " * 60}


class Behind:
    """An upstream that runs behind faults."""

    def __init__(
        self, profile: str, requests: Callable[[], int], set_fault: Callable[[Fault | None], Awaitable[None]]
    ) -> None:
        self.profile = profile
        """The tables that declare `[upstreams.api]`, and a tool `get` with a `number`."""
        self.requests = requests
        """How many requests have been sent to it, whatever became of them."""
        self.set_fault = set_fault
        self.phase = 1


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of upstream, and what it is put through."""

    open: Callable[[Case], AbstractAsyncContextManager[Behind]]
    cases: dict[str, Case]
    impatient: str
    """The limits for faults that nothing comes through."""
    sends_each: bool = False
    """Whether every call is a request of its own, which nothing but the budget multiplies."""


@asynccontextmanager
async def _http(case: Case) -> AsyncIterator[Behind]:
    """`type = "http"`, before a TCP proxy."""
    server = HttpServer()
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        proxy = FaultProxy(server.port)
        await nursery.start(proxy.serve)
        profile = f"""
            [upstreams.api]
            type = "http"
            base_url = "http://127.0.0.1:{proxy.port}"
            {TOOL}
            [tools.get.fetch]
            upstream = "api"
            path = "documents/{{number}}"
        """
        behind = Behind(profile, lambda: proxy.requests, proxy.set)

        async def handler(request: Request, stream: trio.SocketStream) -> None:
            known = document(int(request.target.rpartition("/")[2]), behind.phase)
            await stream.send_all(_framed(case.framing, known, request))
            if case.framing == "close":
                await stream.aclose()

        for number in range(100):
            server.on(f"/documents/{number}", handler)
        yield behind
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def _mcp_http(case: Case) -> AsyncIterator[Behind]:
    """`type = "mcp"` with a `url`, before a TCP proxy."""
    server = HttpServer()
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        proxy = FaultProxy(server.port, _CALL)
        await nursery.start(proxy.serve)
        behind = Behind(_federated(f'url = "http://127.0.0.1:{proxy.port}/mcp"'), lambda: proxy.requests, proxy.set)
        mcp_server.over_http(server, lambda number: document(number, behind.phase), framing=case.framing)
        yield behind
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def _mcp_stdio(_case: Case) -> AsyncIterator[Behind]:
    """`type = "mcp"` with a `command`, whose process passes on what a TCP proxy lets through."""
    async with trio.open_nursery() as nursery:
        listeners: list[trio.SocketListener] = await nursery.start(
            trio.serve_tcp, lambda stream: mcp_server.over_lines(known, stream), 0
        )
        proxy = FaultProxy(listeners[0].socket.getsockname()[1], _CALL)
        await nursery.start(proxy.serve)
        command = [sys.executable, "-I", "-S", "-E", relay.__file__, str(proxy.port)]
        behind = Behind(_federated(f"command = {json.dumps(command)}"), lambda: proxy.requests, proxy.set)

        def known(number: int) -> dict[str, object]:
            return document(number, behind.phase)

        yield behind
        nursery.cancel_scope.cancel()


_CALL = rb'"method": ?"tools/call"'


def _federated(where: str) -> str:
    return f"""
        [upstreams.api]
        type = "mcp"
        {where}
        prefix = ""
        strategy = "s"
        era = "handshake"
        start_timeout = "2s"
        reconnect_delay = "50ms"
        max_reconnect_delay = "100ms"
    """


TOOL = """
            [tools.get]
            description = "A document."
            strategy = "s"
            [tools.get.input]
            required = ["number"]
            [tools.get.input.properties]
            number = { type = "integer" }
"""

_SILENT = r"no answer within \d+m?s \(upstreams\.api\.(try_)?timeout\)(: it was still )?"
_GONE = r"(the connection to \S+ broke: |\S+ closed the connection without an answer|the answer of \S+ broke off: )"
_NO_JSON = r"the answer said it was JSON but is not: "
_NO_HTTP = r"\S+ did not answer in HTTP: "

_THROUGH = {
    "none": Case(faults.none),
    "latency": Case(faults.latency(0.03)),
    "bandwidth": Case(faults.bandwidth(30_000)),
    "slicer": Case(faults.slicer(7), framing="chunked"),
}
_HTTP = {
    **_THROUGH,
    "slow close": Case(faults.slow_close(0.2), framing="close"),
    "down": Case(None, r"no connection to \S+: Connection refused"),
    "timeout": Case(faults.timeout, _SILENT + "waiting for the upstream"),
    "reset": Case(faults.reset, _GONE),
    "cut in the headers": Case(faults.cut(30), _GONE),
    "cut in the body": Case(faults.cut_body(100), _GONE),
    "cut in the compressed body": Case(faults.cut_body(60), _GONE, "gzip"),
    "cut where the end is the connection's": Case(faults.cut_body(100), _NO_JSON, "close"),
    "cut in a stream": Case(faults.cut_body(100), _GONE, "chunked"),
    "half open": Case(faults.half_open(100), _SILENT + "(reading the answer|waiting for the upstream)"),
    "garbage status line": Case(faults.changed(faults.garbage_status_line), _NO_HTTP),
    "longer Content-Length": Case(faults.changed(faults.other_length(+7)), _SILENT + "reading the answer"),
    # That of a 304, which is zero, becomes a negative one.
    "shorter Content-Length": Case(
        faults.changed(faults.other_length(-7)), rf"{_NO_JSON}|{_NO_HTTP}bad Content-Length"
    ),
    "bad gzip": Case(faults.changed(faults.bad_gzip), r"the answer said it was gzip but is not: ", "gzip"),
}
_SILENT_MCP = _SILENT + "waiting for the upstream"
_NOT_THERE = r"(it is not there: .+|Connection closed)"
_REFUSED = rf"no connection to \S+: Connection refused|{_SILENT_MCP}|{_NOT_THERE}"

_MCP_HTTP = {
    **_THROUGH,
    "slow close": Case(faults.slow_close(0.2), framing="close"),
    "down": Case(None, _REFUSED),
    "timeout": Case(faults.timeout, _SILENT_MCP),
    "reset": Case(faults.reset, rf"{_GONE}|{_NOT_THERE}"),
    "cut in the headers": Case(faults.cut(30), rf"{_GONE}|{_NOT_THERE}"),
    "cut in the body": Case(faults.cut_body(100), rf"{_GONE}|{_NOT_THERE}"),
    "cut in an event stream": Case(faults.cut_body(100), "SSE stream ended without a response", "chunked"),
    "half open": Case(faults.half_open(100), _SILENT_MCP),
    "garbage status line": Case(faults.changed(faults.garbage_status_line), _NO_HTTP),
    "longer Content-Length": Case(faults.changed(faults.other_length(+7)), _SILENT_MCP),
    "shorter Content-Length": Case(faults.changed(faults.other_length(-7)), "the answer said it was JSON but is not"),
    "bad gzip": Case(faults.changed(faults.bad_gzip), r"\S+ sends a compressed answer, which it was not asked for"),
}
_MCP_STDIO = {
    **_THROUGH,
    "down": Case(None, _NOT_THERE),
    "slow close": Case(faults.slow_close(0.2)),
    "timeout": Case(faults.timeout, _SILENT_MCP),
    "reset": Case(faults.reset, _NOT_THERE),
    "cut in an answer": Case(faults.cut(100), _NOT_THERE),
    "half open": Case(faults.half_open(100), _SILENT_MCP),
    "garbage": Case(faults.changed(faults.garbage_line), _SILENT_MCP),
    "half lines": Case(faults.changed(faults.half_lines), "its answer is no JSON"),
}

KINDS = {
    "http": Kind(_http, _HTTP, "timeout = '30s'\ntry_timeout = '2s'", sends_each=True),
    "mcp-http": Kind(_mcp_http, _MCP_HTTP, "timeout = '2s'\ntry_timeout = '700ms'"),
    "mcp-stdio": Kind(_mcp_stdio, _MCP_STDIO, "timeout = '2s'\ntry_timeout = '700ms'"),
}


def _framed(framing: Framing, known: dict[str, object], request: Request) -> bytes:
    etag = f'"{known["phase"]}"'
    if request.headers.get("if-none-match") == etag:
        return answer(status="304 Not Modified", content_type="")
    body = json.dumps(known).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nETag: {etag}\r\n"
    match framing:
        case "length":
            return answer(body, headers={"ETag": etag})
        case "gzip":
            return gzipped(body)
        case "close":
            return f"{head}Connection: close\r\n\r\n".encode() + body
        case "chunked":
            chunks = b"".join(
                b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:50], body[50:150], body[150:], b"")
            )
            return f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks
