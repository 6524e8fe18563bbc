"""Servers behind a URL that answer what is no answer, or would lead elsewhere: each fails alone, with its sentence."""

from __future__ import annotations

import gzip
import json
import re
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
import trio
from pydantic import TypeAdapter

from gateway.assembly import Gateway
from gateway.catalogue.result import CallResult
from gateway.errors import UpstreamInvalid
from gateway.profile.upstreams.mcp import McpUpstream
from gateway.upstream.mcp.http import open_http_streams
from gateway.upstream.mcp.model import NOBODY
from gateway.upstream.mcp.session import Session
from tests.fakes import mcp_server
from tests.fakes.http_server import HttpServer, Request, Script, answer
from tests.fakes.mcp_rig import NO_JSON, gateway_of, names

pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")

SETTINGS = """
prefix = ""
era = "handshake"
strategy = "s"
start_patience = "20s"
reconnect_delay = "10ms"
retries = 3
retry_delay = "10ms"
breaker = { enabled = false }
"""


@pytest.fixture
async def server(nursery: trio.Nursery) -> HttpServer:
    """Something that speaks HTTP."""
    server = HttpServer()
    await nursery.start(server.serve)
    return server


@asynccontextmanager
async def gateway_before(folder: Path, server: HttpServer, more: str = "") -> AsyncIterator[Gateway]:
    """A gateway that federates what is at the server's /mcp."""
    where = f'[upstreams.far]\ntype = "mcp"\nurl = "{server.url}/mcp"\n{SETTINGS}\n{more}\n'
    async with gateway_of(folder, where) as gateway:
        yield gateway


def calls_get(server: HttpServer, script: Script) -> None:
    """All is well at /mcp until the tool is called: that is answered by the script."""
    mcp_server.over_http(server, lambda number: {"number": number})
    (others,) = server.scripts["/mcp"]

    async def handler(request: Request, stream: trio.SocketStream) -> None:
        if b'"tools/call"' not in request.body:
            assert not isinstance(others, bytes)
            await others(request, stream)
        elif isinstance(script, bytes):
            await stream.send_all(script)
        else:
            await script(request, stream)

    server.on("/mcp", handler)


async def get(gateway: Gateway, number: int = 1) -> CallResult:
    with trio.fail_after(30):
        return await gateway.catalogue.call("get", {"number": number})


def calls(server: HttpServer) -> int:
    """How often the tool was called."""
    return sum(b'"tools/call"' in request.body for request in server.requests)


NOT_FOUND = "404 Not Found"
ERROR = "500 Internal Server Error"

ANSWERS = {
    "a page": (answer(b"<p>hello", "text/html"), "<> answered with text/html, not JSON"),
    "no type": (answer(b"hello", ""), "<> answered with no type, not JSON"),
    "nothing": (answer(b""), "its answer to tools/call is no JSON"),
    "another message": (answer(b'{"hello": 1}'), "its answer to tools/call is no JSON"),
    "no permission": (answer(b"", status="401 Unauthorized"), "<> answered 401 Unauthorized"),
    "nowhere": (answer(b"", status=NOT_FOUND), "<> answered 404 Not Found"),
    "overload": (answer(b"", status="503 Service Unavailable"), "<> answered 503 Service Unavailable"),
    "a mistake of its own": (answer(b"", status=ERROR), f"<> answered {ERROR}"),
    "too much": (answer(b"x" * 200_000), r"the answer is larger than 100KB \(upstreams.far.max_response_size\)"),
    "too much in an event": (
        answer(b"data: " + b"x" * 200_000 + b"\n\n", "text/event-stream"),
        r"the answer is larger than 100KB \(upstreams.far.max_response_size\)",
    ),
    "an event that is no message": (
        answer(b"event: message\ndata: hello\n\n", "text/event-stream"),
        "its answer to tools/call is no JSON",
    ),
}


@pytest.mark.parametrize(("script", "sentence"), ANSWERS.values(), ids=ANSWERS)
async def test_what_is_no_answer(script: bytes, sentence: str, tmp_path: Path, server: HttpServer) -> None:
    """The call fails with a sentence; the session goes on, and nothing is kept."""
    calls_get(server, script)
    async with gateway_before(tmp_path, server, 'max_response_size = "100KB"') as gateway:
        result = await get(gateway)
        expected = sentence.replace("<>", re.escape(f"{server.url}/mcp"))
        assert re.fullmatch(f"far: {expected}", result.message or ""), result.message
        mcp_server.over_http(server, lambda number: {"number": number})
        assert not (await get(gateway)).is_error
        unavailable = 4 if re.search("answered 50[03]", sentence) else 1
        assert calls(server) == unavailable + 1
        assert sum(b'"initialize"' in request.body for request in server.requests) == 1


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable", ERROR])
async def test_a_server_that_wants_to_be_asked_later(status: str, tmp_path: Path, server: HttpServer) -> None:
    """Its wish is told on instead of being slept, where that would take longer than the call may; it is asked once."""
    calls_get(server, answer(b"", status=status, headers={"Retry-After": "3600"}))
    async with gateway_before(tmp_path, server) as gateway:
        result = await get(gateway)
    assert result.message == f"far: {server.url}/mcp answered {status}, and to ask again in 1h"
    assert calls(server) == 1


@pytest.mark.parametrize("wait", ["x", -1, None, True, {}])
async def test_a_wish_that_is_none(wait: object, tmp_path: Path, server: HttpServer) -> None:
    """A server that speaks like the gateway itself does not get to say how long it waits."""
    error = {"code": -32097, "message": "no", "data": {"gateway/wait": wait}}
    calls_get(server, lambda request, stream: stream.send_all(refusal(request, error)))
    async with gateway_before(tmp_path, server) as gateway:
        result = await get(gateway)
    assert result.message == "far: no"
    assert calls(server) == 4


def refusal(request: Request, error: dict[str, object]) -> bytes:
    """An answer to a request that is an error of the protocol."""
    return answer(orjson.dumps({"jsonrpc": "2.0", "id": json.loads(request.body)["id"], "error": error}))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("value", NO_JSON)
async def test_an_answer_that_is_no_json(value: str, stream: bool, tmp_path: Path, server: HttpServer) -> None:
    """However it is sent: told, and never made into another value."""
    written: Callable[[bytes], bytes] = lambda message: message.replace(b'"@"', value.encode())  # noqa: E731
    mcp_server.over_http(
        server, lambda _number: {"is": "@"}, framing="chunked" if stream else "length", written=written
    )
    async with gateway_before(tmp_path, server) as gateway:
        result = await get(gateway)
        assert re.search("is no JSON|it was JSON but is not", result.message or ""), result.payload


@pytest.mark.parametrize("coding", ["gzip", "zstd", "gzip, gzip"])
async def test_a_bomb(coding: str, tmp_path: Path, server: HttpServer) -> None:
    """Nothing that is compressed is taken, so that a small answer stays one."""
    calls_get(server, answer(gzip.compress(bytes(50_000_000), 1), headers={"Content-Encoding": coding}))
    async with gateway_before(tmp_path, server) as gateway:
        tracemalloc.start()
        result = await get(gateway)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert result.message == f"far: {server.url}/mcp sends a compressed answer, which it was not asked for"
        assert most < 5_000_000


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent"])
async def test_a_redirect(status: str, tmp_path: Path, server: HttpServer, nursery: trio.Nursery) -> None:
    """Is not followed, so no credential is sent to where it points."""
    elsewhere = HttpServer()
    await nursery.start(elsewhere.serve)
    calls_get(server, answer(b"", status=status, headers={"Location": f"{elsewhere.url}/mcp"}))
    async with gateway_before(tmp_path, server, 'headers = { Authorization = "Bearer canary" }') as gateway:
        result = await get(gateway)
        assert result.message is not None
        assert re.fullmatch(r"far: \S+ answered 30\d .+, and redirects are not followed", result.message)
    assert server.requests[0].headers["authorization"] == "Bearer canary"
    assert elsewhere.connections == 0


async def test_a_proxy_of_the_environment(
    tmp_path: Path, server: HttpServer, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is not used, nor is .netrc."""
    proxy = HttpServer()
    await nursery.start(proxy.serve)
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login canary password canary\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, proxy.url)
    mcp_server.over_http(server, lambda number: {"number": number})
    async with gateway_before(tmp_path, server) as gateway:
        assert names(gateway) == ["get"]
    assert proxy.connections == 0
    assert all("authorization" not in request.headers for request in server.requests)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1"])
async def test_a_name_that_leads_to_a_private_address(address: str, server: HttpServer) -> None:
    """Is not dialled, as with every upstream; the sentence names the key that allows it."""
    url = f"http://far.example:{server.port}/mcp"
    section: McpUpstream = TypeAdapter(McpUpstream).validate_python({"type": "mcp", "url": url, "era": "handshake"})

    async def resolve(_host: str, _port: int) -> list[str]:
        await trio.lowlevel.checkpoint()
        return [address]

    failure: Exception | None = None
    async with open_http_streams("far", section, lambda: None, resolve=resolve) as streams:
        session = Session("far", section, streams, _asked)
        async with session.client:
            try:
                await session.request("ping", {}, NOBODY)
            except UpstreamInvalid as error:
                failure = error
    assert failure is not None
    assert "upstreams.far.private_addresses" in str(failure)
    assert server.connections == 0


async def _asked(*_of: Any) -> dict[str, Any]:
    raise AssertionError("nobody asks")


async def test_a_server_that_forgets_its_session(tmp_path: Path, server: HttpServer) -> None:
    """A new session is begun, and a call that only reads is made again."""
    sessions = iter(["one", "two"])
    known: list[str] = []

    async def handler(request: Request, stream: trio.SocketStream) -> None:
        message = json.loads(request.body) if request.method == "POST" else {}
        own = request.headers.get("mcp-session-id")
        if message.get("method") == "initialize":
            known[:] = [next(sessions)]
        elif own not in known:
            await stream.send_all(answer(b"", status=NOT_FOUND))
            return
        said = mcp_server.reply(lambda number: {"number": number}, message) if message else None
        headers = {"Mcp-Session-Id": known[0]}
        if said is None:
            await stream.send_all(answer(b"", status="202 Accepted", content_type="", headers=headers))
        else:
            await stream.send_all(answer(orjson.dumps(said), headers=headers))

    server.on("/mcp", handler)
    async with gateway_before(tmp_path, server) as gateway:
        assert not (await get(gateway, 1)).is_error
        known.clear()
        assert not (await get(gateway, 2)).is_error
    assert known == ["two"]
