"""Connections that hypercorn serves, on its own sockets and handed over, on real sockets."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import Any, cast

import pytest
import trio
from h2.connection import H2Connection
from hypercorn.config import Config
from hypercorn.typing import ASGIFramework
from structlog.testing import capture_logs

from gateway.serving import hypercorn_connections
from gateway.serving.at_path import at_path
from gateway.serving.hypercorn_connections import Hypercorn
from gateway.serving.hypercorn_site import HypercornSite, quiet_config
from gateway.serving.switch import Switch

_CHUNKS = 200
_TIMES = 30
_HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
_GET = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
_NO_CHUNK = b"zz\x00\r\n\r\n"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
"""With no settings (RFC 9113, section 3.4)."""
_REQUEST = {"method": "GET", "path": "/", "scheme": "http", "authority": "x"}
_GOAWAY = b"\0\0\x08\7\0\0\0\0\0" + bytes(8)


@pytest.mark.parametrize("handed_over", [False, True])
async def test_who_breaks_the_protocol_while_it_is_answered_is_left_quietly(
    caplog: pytest.LogCaptureFixture, handed_over: bool
) -> None:
    """Its reader closes the connection, which whoever sends in that moment need not tell anybody."""

    async def streaming(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        for _ in range(_CHUNKS):
            await send({"type": "http.response.body", "body": b"more", "more_body": True})
        ended.set()

    with capture_logs() as said:
        async with serving(streaming, handed_over) as address:
            for _ in range(_TIMES):
                ended = trio.Event()
                async with await trio.open_tcp_stream(*address) as client:
                    await client.send_all(_HEAD)
                    heard = b""
                    while b"begun" not in heard:
                        heard += await client.receive_some()
                    await client.send_all(_NO_CHUNK)
                    await ended.wait()
                    await to_the_end(client)
    assert said == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("handed_over", [False, True])
async def test_who_breaks_the_protocol_when_the_answer_begins_is_left_quietly(
    caplog: pytest.LogCaptureFixture, handed_over: bool
) -> None:
    """The reader's refusal and the application's answer meet, and whichever is first closes the connection."""

    after = 0

    async def late(scope: Any, receive: Any, send: Any) -> None:
        await broken.wait()
        for _ in range(after):
            await trio.lowlevel.checkpoint()
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b"Not found"})

    with capture_logs() as said:
        async with serving(late, handed_over) as address:
            for number in range(5 * _TIMES):
                after, broken = number % _TIMES, trio.Event()
                async with await trio.open_tcp_stream(*address) as client:
                    await client.send_all(_HEAD)
                    await trio.sleep(0.001)
                    await client.send_all(_NO_CHUNK)
                    broken.set()
                    await to_the_end(client)
    assert said == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("handed_over", [False, True])
async def test_a_connection_that_fails_ends_no_other(handed_over: bool) -> None:
    """Whatever goes wrong on it: it is closed, the log says why, and the next is served."""

    class Failing(Config):
        fails = True

        def response_headers(self, protocol: str) -> list[tuple[bytes, bytes]]:
            if self.fails:  # for the application's answer, and again for hypercorn's own in place of that
                raise RuntimeError("by intention")
            return super().response_headers(protocol)

    async def well(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    config = Failing()
    with capture_logs() as said:
        async with serving(well, handed_over, config) as address:
            async with await trio.open_tcp_stream(*address) as client:
                await client.send_all(_GET)
                await to_the_end(client)
            config.fails = False
            async with await trio.open_tcp_stream(*address) as client:
                await client.send_all(_GET)
                assert (await client.receive_some()).startswith(b"HTTP/1.1 204")
    assert [each["event"] for each in said] == ["a connection failed"]


async def answering(scope: Any, receive: Any, send: Any) -> None:
    """Answer once the whole request is there; says so where it is not, as any application would."""
    while (event := await receive())["type"] == "http.request" and event["more_body"]:
        pass
    assert event["type"] == "http.request", "the connection was closed under a request"
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("turns", range(0, 24, 2))
@pytest.mark.parametrize("body", [b"", b"abc"])
async def test_a_request_that_comes_with_the_end_is_answered(
    monkeypatch: pytest.MonkeyPatch, body: bytes, turns: int
) -> None:
    """Whether it is the next of its connection, the first, or on one that was not even accepted; and in two parts."""
    for patience in ("FIRST", "RECENT"):
        monkeypatch.setattr(hypercorn_connections, patience, 20.0)  # however busy the machine is
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    app = Switch(at_path("/", cast("ASGIFramework", answering), streams=True))
    stop = trio.Event()
    with ExitStack() as stack, capture_logs() as said, trio.fail_after(30):
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def connected() -> socket.socket:
            return stack.enter_context(socket.create_connection(listener.getsockname()))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(HypercornSite(app, quiet_config(), stop).run, [listener])
            clients = [connected() for _ in range(3)]
            for client in clients[:2]:
                client.sendall(head + body)
                assert (await heard(client)).startswith(b"HTTP/1.1 204")
            clients += [connected() for _ in range(30)]
            stop.set()
            for _ in range(turns):
                await trio.lowlevel.checkpoint()
            for client in clients:
                client.sendall(head)
            await trio.lowlevel.checkpoint()
            for client in clients:
                client.sendall(body)
            for client in clients:
                assert (await heard(client)).startswith(b"HTTP/1.1 204")
                assert await heard(client) == b"", "it was the last of its connection"
    assert said == []


@pytest.mark.parametrize("turns", range(20))
async def test_no_request_is_begun_and_not_answered(monkeypatch: pytest.MonkeyPatch, turns: int) -> None:
    """On connections that were idle for long it is one or the other, in whichever turn of the end it comes."""
    monkeypatch.setattr(hypercorn_connections, "RECENT", 0.0)
    begun = 0

    async def counting(scope: Any, receive: Any, send: Any) -> None:
        nonlocal begun
        begun += 1
        await answering(scope, receive, send)

    stop = trio.Event()
    app = Switch(at_path("/", cast("ASGIFramework", counting), streams=True))
    head = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    answered = 0
    with ExitStack() as stack, trio.fail_after(30):
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        async with trio.open_nursery() as nursery:
            await nursery.start(HypercornSite(app, quiet_config(), stop).run, [listener])
            clients = [stack.enter_context(socket.create_connection(listener.getsockname())) for _ in range(20)]
            for client in clients:
                client.sendall(head)
                assert (await heard(client)).startswith(b"HTTP/1.1 204")
            begun = 0
            stop.set()
            for _ in range(turns):
                await trio.lowlevel.checkpoint()
            for client in clients:
                with suppress(OSError):
                    client.sendall(head)
            for client in clients:
                with suppress(OSError):
                    answered += (await heard(client)).startswith(b"HTTP/1.1 204")
    assert answered == begun


@pytest.mark.parametrize("handed_over", [False, True])
@pytest.mark.parametrize("first", [b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", _PREFACE, _PREFACE + _GOAWAY, b""])
async def test_who_is_idle_is_left_quietly(caplog: pytest.LogCaptureFixture, handed_over: bool, first: bytes) -> None:
    """Also where hypercorn has closed the connection itself, and in HTTP/2 before the first request."""
    config = quiet_config()
    config.keep_alive_timeout = 0.05
    with capture_logs() as said:
        async with serving(answering, handed_over, config) as address, await trio.open_tcp_stream(*address) as client:
            await client.send_all(first)
            await to_the_end(client)
            await trio.sleep(0.1)
    assert said == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_the_end_is_not_waited_for_on_http_2(monkeypatch: pytest.MonkeyPatch) -> None:
    """There each request would be refused by now. Nobody else can connect meanwhile."""
    monkeypatch.setattr(hypercorn_connections, "FIRST", 20.0)
    app = Switch(at_path("/", cast("ASGIFramework", answering), streams=True))
    stop = trio.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener, trio.fail_after(10):
        address = listener.getsockname()
        async with trio.open_nursery() as nursery:
            await nursery.start(HypercornSite(app, quiet_config(), stop).run, [listener])
            async with await trio.open_tcp_stream(*address) as begun, await trio.open_tcp_stream(*address) as late:
                await begun.send_all(_PREFACE)
                assert await begun.receive_some()
                stop.set()
                await to_the_end(begun)
                with pytest.raises(OSError, match="all attempts to connect"):
                    await trio.open_tcp_stream(*address)
                await late.send_all(_PREFACE)
                await to_the_end(late)


@pytest.mark.parametrize("how", ["leaves", "reads nothing", "takes nothing"])
async def test_who_waits_for_no_answer_holds_nothing_up(how: str) -> None:
    """A client of HTTP/2 that is gone, one of HTTP/1.1 that does not read, one of HTTP/2 that opens no window."""
    asked, left = trio.Event(), trio.Event()

    async def large(scope: Any, receive: Any, send: Any) -> None:
        asked.set()
        await left.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": bytes(20_000_000)})

    config = quiet_config()
    config.graceful_timeout = 0.3
    app = Switch(at_path("/", cast("ASGIFramework", large), streams=True))
    stop = trio.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener, trio.fail_after(30):
        client = await trio.open_tcp_stream(*listener.getsockname())
        async with client, trio.open_nursery() as nursery:
            await nursery.start(HypercornSite(app, config, stop).run, [listener])
            if how == "reads nothing":
                await client.send_all(_GET)
            else:
                http2 = H2Connection()
                http2.initiate_connection()
                http2.send_headers(1, [(f":{name}", text) for name, text in _REQUEST.items()], end_stream=True)
                await client.send_all(http2.data_to_send())
            await asked.wait()
            if how == "leaves":
                await client.aclose()
            left.set()
            await trio.sleep(0.1)
            stop.set()


async def heard(client: socket.socket) -> bytes:
    """Some bytes of what comes; nothing at the end."""
    await trio.lowlevel.wait_readable(client)
    return client.recv(1000)


@asynccontextmanager
async def serving(app: Any, handed_over: bool, config: Config | None = None) -> AsyncIterator[Any]:
    """The address at which `app` is served until the block ends; a test that hangs fails."""
    config = config or quiet_config()
    served = at_path("/", cast("ASGIFramework", app), streams=True)
    stop = trio.Event()
    with socket.socket() as listener, trio.fail_after(30):
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        async with trio.open_nursery() as nursery:
            if handed_over:
                nursery.start_soon(_accept, Hypercorn(served, config), listener)
            else:
                await nursery.start(HypercornSite(Switch(served), config, stop).run, [listener])
            yield listener.getsockname()
            stop.set()
            nursery.cancel_scope.cancel()


async def to_the_end(client: trio.SocketStream) -> None:
    """Read until the server closes the connection, in whatever way."""
    with suppress(trio.BrokenResourceError):
        while await client.receive_some():
            pass


async def _accept(hypercorn: Hypercorn, listener: socket.socket) -> None:
    with trio.socket.from_stdlib_socket(listener.dup()) as accepting:
        while True:
            sock, _ = await accepting.accept()
            await hypercorn.serve(trio.SocketStream(sock))
