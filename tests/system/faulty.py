"""Upstreams of every kind behind faults: what the matrix of `test_faults` is made of."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Literal

import trio

from tests.fakes import faults
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


_SILENT = r"no answer within (300ms|1\.5s|1500ms) \(upstreams\.api\.(try_)?timeout\): it was still "
_GONE = r"(the connection to \S+ broke: |\S+ closed the connection without an answer|the answer of \S+ broke off: )"

CASES: dict[str, Case] = {
    "none": Case(faults.none),
    "latency": Case(faults.latency(0.03)),
    "bandwidth": Case(faults.bandwidth(30_000)),
    "slow close": Case(faults.slow_close(0.2), framing="close"),
    "slicer": Case(faults.slicer(7), framing="chunked"),
    "down": Case(None, r"no connection to \S+: Connection refused"),
    "timeout": Case(faults.timeout, _SILENT + "waiting for the upstream"),
    "reset": Case(faults.reset, _GONE),
    "cut in the headers": Case(faults.cut(30), _GONE),
    "cut in the body": Case(faults.cut_body(100), _GONE),
    "cut in the compressed body": Case(faults.cut_body(60), _GONE, "gzip"),
    "cut where the end is the connection's": Case(
        faults.cut_body(100), r"the answer said it was JSON but is not: ", "close"
    ),
    "cut in a stream": Case(faults.cut_body(100), _GONE, "chunked"),
    "half open": Case(faults.half_open(100), _SILENT + "(reading the answer|waiting for the upstream)"),
    "garbage status line": Case(faults.changed(faults.garbage_status_line), r"\S+ did not answer in HTTP: "),
    "longer Content-Length": Case(faults.changed(faults.other_length(+7)), _SILENT + "reading the answer"),
    # That of a 304, which is zero, becomes a negative one.
    "shorter Content-Length": Case(
        faults.changed(faults.other_length(-7)),
        r"the answer said it was JSON but is not: |\S+ did not answer in HTTP: bad Content-Length",
    ),
    "bad gzip": Case(faults.changed(faults.bad_gzip), r"the answer said it was gzip but is not: ", "gzip"),
}


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
        """The tables that declare `[upstreams.api]`, and `[tools.get]` with a `number`."""
        self.requests = requests
        """How many requests have been sent to it, whatever became of them."""
        self.set_fault = set_fault
        self.phase = 1


Kind = Callable[[Case], AbstractAsyncContextManager["Behind"]]


@asynccontextmanager
async def http(case: Case) -> AsyncIterator[Behind]:
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


KINDS: dict[str, Kind] = {"http": http}


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
