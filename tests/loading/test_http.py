"""The load tester's own HTTP client, on real sockets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio

from gateway.errors import GatewayError
from gateway.loading.http import HttpTarget
from gateway.loading.model import Call, Reply
from gateway.loading.opening import open_http
from tests.fakes.http_server import HttpServer, Request, Script, answer, cut_off
from tests.loading.certificate import server_context

CALL = Call("größe", {"a": 1})


class Echo(HttpServer):
    """Answers each call in a framing of a test's choice."""

    framing: str = "length"

    def script_for(self, request: Request) -> Script:
        number = json.loads(request.body)["id"]
        body = b'{"jsonrpc":"2.0","id":%d,"result":{"content":[]}}' % number
        match self.framing:
            case "length":
                return answer(body)
            case "chunked":
                parts = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:9], body[9:], b""))
                return (
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + parts
                )
            case "continued":
                return b"HTTP/1.1 100 Continue\r\n\r\n" + answer(body)
            case "to the end":
                return cut_off(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + body)
            case "closing":
                return cut_off(answer(body, headers={"Connection": "close"}))
            case "cut off":
                return cut_off(answer(body)[:-5])
            case _:
                return cut_off(b"")


@pytest.fixture
async def echo(nursery: trio.Nursery) -> Echo:
    """A server."""
    server = Echo()
    await nursery.start(server.serve)
    return server


async def asked(url: str, times: int = 3, ca: Path | None = None) -> list[Reply]:
    """The replies to so many calls of one client."""
    async with open_http(url, "modern", headers={"X-Own": "y"}, ca=str(ca) if ca else None, patience=5) as target:
        return await of_client(target, times)


async def of_client(target: HttpTarget, times: int) -> list[Reply]:
    client = target.client()
    await client.open()
    try:
        return [await client.ask(CALL) for _ in range(times)]
    finally:
        await client.aclose()


@pytest.mark.parametrize("framing", ["length", "chunked", "continued"])
async def test_connections_are_kept(echo: Echo, framing: str) -> None:
    """Requests go over one connection (beside the one that found the server), however an answer is framed."""
    echo.framing = framing
    assert [reply.error for reply in await asked(echo.url + "/mcp?a=b")] == [None, None, None]
    assert echo.connections == 2
    assert set(echo.targets()) == {"/mcp?a=b"}


@pytest.mark.parametrize("framing", ["to the end", "closing"])
async def test_connections_are_opened_again(echo: Echo, framing: str) -> None:
    """Where the server ends the connection with its answer, the next request has a new one, and nothing failed."""
    echo.framing = framing
    assert [reply.error for reply in await asked(echo.url)] == [None, None, None]
    assert echo.connections == 4


async def test_headers(echo: Echo) -> None:
    """The headers of 2026-07-28, those of the user, and a name that needs base64."""
    await asked(echo.url, 1)
    headers = echo.requests[0].headers
    assert headers["mcp-protocol-version"] == "2026-07-28"
    assert (headers["mcp-method"], headers["mcp-name"]) == ("tools/call", "=?base64?Z3LDtsOfZQ==?=")
    assert headers["accept"] == "application/json, text/event-stream"
    assert headers["x-own"] == "y"
    assert headers["host"] == f"127.0.0.1:{echo.port}"


@pytest.mark.parametrize(
    ("framing", "detail"), [("cut off", "in the middle of an answer"), ("nothing", "without an answer")]
)
async def test_the_server_goes_away(echo: Echo, framing: str, detail: str) -> None:
    """A connection that ends too early is told as that, and the next request gets a new one."""
    echo.framing = framing
    replies = await asked(echo.url, 2)
    assert {(reply.error, reply.detail) for reply in replies} == {("connection closed", detail)}
    echo.framing = "length"
    assert [reply.error for reply in await asked(echo.url, 1)] == [None]


async def test_an_answer_that_was_given_up_is_nobodys(echo: Echo) -> None:
    """After a call was cancelled its connection is not used again, since its answer may still come."""

    async def late(request: Request, stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    async with open_http(echo.url, "modern", headers={}, ca=None, patience=5) as target:
        client = target.client()
        await client.open()
        echo.script_for = lambda request: late  # type: ignore[method-assign]  # for one call
        with trio.move_on_after(0.05):
            await client.ask(CALL)
        del echo.script_for
        assert (await client.ask(CALL)).error is None
        await client.aclose()
    assert echo.connections == 3


async def test_ipv6(nursery: trio.Nursery) -> None:
    """An IPv6 literal is an address like any other."""
    echo = Echo()
    try:
        listeners = await trio.open_tcp_listeners(0, host="::1")
    except OSError:
        pytest.skip("no IPv6 here")
    nursery.start_soon(trio.serve_listeners, echo._connection, listeners)
    port = listeners[0].socket.getsockname()[1]
    assert [reply.error for reply in await asked(f"http://[::1]:{port}/mcp")] == [None] * 3
    assert echo.requests[0].headers["host"] == f"[::1]:{port}"


async def test_tls(nursery: trio.Nursery, tmp_path: Path) -> None:
    """Over https, where the certificate is trusted; kept alive like any other connection."""
    path = tmp_path / "certificate.pem"
    context = server_context(path)
    accepted = 0

    async def serve(stream: trio.SSLStream[trio.SocketStream]) -> None:
        nonlocal accepted
        try:
            while data := bytes(await stream.receive_some()):
                accepted += 1
                body = b'{"jsonrpc":"2.0","id":%d,"result":{}}' % json.loads(data.partition(b"\r\n\r\n")[2])["id"]
                await stream.send_all(answer(body))
        except trio.BrokenResourceError:
            pass  # not trusted, or left without a farewell

    listeners = await trio.open_ssl_over_tcp_listeners(0, context, host="127.0.0.1", https_compatible=True)
    nursery.start_soon(trio.serve_listeners, serve, listeners)
    listener = listeners[0].transport_listener
    assert isinstance(listener, trio.SocketListener)
    url = f"https://localhost:{listener.socket.getsockname()[1]}/mcp"
    assert [reply.error for reply in await asked(url, ca=path)] == [None] * 3
    assert accepted == 3
    (reply,) = await asked(url, 1)
    assert reply.error == "no connection"
    assert "certificate verify failed" in reply.detail


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://", "expected an address"),
        ("http://x:99999999/", "is no address"),
        ("http://user:secret@127.0.0.1/", "--header"),
        ("http://127.0.0.1:9/", "can't be reached: Connection refused"),
        ("http://nobody.invalid/", "can't be reached: "),
    ],
)
async def test_what_can_not_be_asked(url: str, sentence: str) -> None:
    """One sentence, in which no password is."""
    with pytest.raises(GatewayError) as caught:
        async with open_http(url, "modern", headers={}, ca=None, patience=5):
            pass
    assert sentence in str(caught.value)
    assert "secret" not in str(caught.value)
