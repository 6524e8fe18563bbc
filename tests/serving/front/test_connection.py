"""Connections on real sockets, with the poller that Linux has and without: the same answers, in the same order."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
import trio
import trio.testing
from hypercorn.config import Config
from hypercorn.typing import ASGIFramework

from gateway.serving.admission import Admission
from gateway.serving.direct.answers import Answers
from gateway.serving.front.front import Front
from gateway.serving.front.handling import Handling
from gateway.serving.front.head import Heads
from gateway.serving.front.poller import Poller
from gateway.serving.hypercorn_connections import Hypercorn
from tests.fakes.mcp_rig import gateway_of

PROFILE = """
[server.connections]
max_requests = 40
max_read_ahead = "10KB"
body_timeout = "1s"
[upstreams.docs]
type = "files"
root = "{root}"
[tools.doc]
description = "A document"
strategy = "s"
[tools.doc.input.properties]
name = {{ type = "string" }}
[tools.doc.fetch]
upstream = "docs"
path = "{{name}}.json"
"""
LOCAL = "front.socket"
"""The local socket in the folder: what is sent there to a client that has closed fails at once."""
MEDIUM = 12_000
"""Bytes of a document of which a socket takes some at once; its answer waits for those of its turn."""
SIZE = 3_000_000
"""Bytes of the large document: more than a socket takes at once."""


async def elsewhere(scope: Any, receive: Any, send: Any) -> None:
    """What hypercorn serves: it says that it was asked."""
    await send({"type": "http.response.start", "status": 501, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture(params=["poller", "alone"])
async def port(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[int]:
    async with serving(tmp_path, Poller() if request.param == "poller" else None) as port:
        yield port


@asynccontextmanager
async def serving(folder: Path, poller: Poller | None) -> AsyncIterator[int]:
    root = folder / "docs"
    root.mkdir()
    (root / "a.json").write_text('{"of": "a"}')
    (root / "b.json").write_text('{"of": "b"}')
    (root / "medium.json").write_text(json.dumps({"of": "y" * MEDIUM}))
    (root / "large.json").write_text(json.dumps({"of": "x" * SIZE}))
    more = f'[cache.memory]\nmax_size = "50MB"\n{PROFILE.format(root=root)}'
    async with gateway_of(folder, more) as gateway, trio.open_nursery() as nursery:
        section, telemetry = gateway.profile.server, gateway.watching.telemetry
        heads, admission = Heads(section, lambda _: True), Admission(gateway.profile, telemetry)
        handling = Handling(section, heads, admission, Answers(gateway))
        hypercorn = Hypercorn(cast("ASGIFramework", elsewhere), Config())
        front = Front(handling, hypercorn, telemetry.connections, poller)
        listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
        stop = trio.Event()
        sock = cast("Any", listener.socket)._sock.dup()
        await listener.aclose()
        local = socket.socket(socket.AF_UNIX)
        local.bind(str(folder / LOCAL))
        local.listen()
        await nursery.start(partial(front.serve, [sock, local], stop))
        yield sock.getsockname()[1]
        stop.set()


def body_of(name: str, id_: int = 1, pad: int = 0) -> bytes:
    params = {"name": "doc", "arguments": {"name": name}, "_meta": {"pad": "x" * pad}}
    return json.dumps({"jsonrpc": "2.0", "id": id_, "method": "tools/call", "params": params}).encode()


def request_of(name: str, id_: int = 1, path: str = "/mcp", more: str = "", pad: int = 0) -> bytes:
    body = body_of(name, id_, pad)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAccept: */*\r\n{more}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Client:
    """A connection that reads answers one by one."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.raw = cast("socket.socket", cast("Any", stream.socket)._sock)
        """To send without another task having its turn."""
        self._buffer = b""

    async def answer(self) -> tuple[int, Any] | None:
        """The next answer: its status, and of a call its id and document; None when there is none any more."""
        while b"\r\n\r\n" not in self._buffer:
            if not await self._more():
                return None
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        while len(self._buffer) < size:
            assert await self._more()
        body, self._buffer = self._buffer[:size], self._buffer[size:]
        status = int(head.split(b" ")[1])
        if status != 200:
            return status, None
        decoded = json.loads(body)
        return decoded["id"], decoded["result"]["structuredContent"]["of"]

    async def _more(self) -> bool:
        data = await self.stream.receive_some(100_000)
        self._buffer += data
        return bool(data)


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Client]:
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        yield Client(stream)


async def test_one_after_the_other(port: int) -> None:
    """Misses and hits on one connection, and on two at once."""
    async with connected(port) as one, connected(port) as other:
        for number in range(6):
            await one.stream.send_all(request_of("a", number))
            await other.stream.send_all(request_of("b", number))
            assert await one.answer() == (number, "a")
            assert await other.answer() == (number, "b")


async def test_in_parts(port: int) -> None:
    """Byte by byte, and with the body in a part of its own, before and after the answer is in memory."""
    async with connected(port) as client:
        for number in range(3):
            for byte in request_of("a", number):
                await client.stream.send_all(bytes((byte,)))
            assert await client.answer() == (number, "a")
            head, _, body = request_of("a", 10 + number).partition(b"\r\n\r\n")
            await client.stream.send_all(head + b"\r\n\r\n")
            await trio.sleep(0.02)
            await client.stream.send_all(body[:20])
            await trio.sleep(0.02)
            await client.stream.send_all(body[20:])
            assert await client.answer() == (10 + number, "a")


async def test_many_at_once(port: int) -> None:
    """Requests that wait for no answer get theirs in their order, misses among them, to the last that there may be."""
    requests = [request_of("ab"[number % 2], number) for number in range(50)]
    async with connected(port) as client:
        await client.stream.send_all(requests[0])
        assert await client.answer() == (0, "a")
        await client.stream.send_all(b"".join(requests[1:]))
        for number in range(1, 40):
            assert await client.answer() == (number, "ab"[number % 2])
        assert await client.answer() is None, "max_requests"


async def test_the_end_of_a_connection(port: int) -> None:
    """After the last request that there may be, and after one that says so, also of what is known by heart."""
    async with connected(port) as client:
        for number in range(40):
            await client.stream.send_all(request_of("a", number))
            assert await client.answer() == (number, "a")
        assert await client.answer() is None
    for _ in range(2):
        async with connected(port) as client:
            await client.stream.send_all(request_of("a", more="Connection: close\r\n"))
            assert await client.answer() == (1, "a")
            assert await client.answer() is None
    async with connected(port) as client:
        await client.stream.send_all(request_of("a"))
        await client.stream.send_eof()
        assert await client.answer() == (1, "a")
        assert await client.answer() is None


async def test_an_answer_that_is_taken_slowly(port: int) -> None:
    """It comes whole, and so does what was asked behind it."""
    async with connected(port) as client:
        await client.stream.send_all(request_of("large"))
        assert await client.answer() == (1, "x" * SIZE)
        for number in range(3):  # from memory now
            await client.stream.send_all(request_of("large", number))
            await trio.sleep(0.05)
            await client.stream.send_all(request_of("a", number))
            assert await client.answer() == (number, "x" * SIZE)
            assert await client.answer() == (number, "a")


@pytest.mark.parametrize("size", [9_990, 10_000, 10_010, 20_000, 30_000])
async def test_as_large_as_one_read(port: int, size: int) -> None:
    """Of about as many bytes as are read at once, or several times that, alone and with another behind it."""
    plain = len(request_of("a", pad=1_000)) - 1_000
    request = request_of("a", pad=size - plain)
    assert abs(len(request) - size) <= 1
    async with connected(port) as client:
        for _ in range(3):
            await client.stream.send_all(request)
            assert await client.answer() == (1, "a")
            await client.stream.send_all(request + request_of("b", 2))
            assert await client.answer() == (1, "a")
            assert await client.answer() == (2, "b")


async def test_a_client_that_says_at_once_that_it_is_all(port: int) -> None:
    """Its answer comes and then the end, after a whole request, after a part of one, and after nothing."""
    for last, expected in ((request_of("a", 5), 1), (request_of("a", 5)[:-5], 0), (b"", 0)):
        with socket.create_connection(("127.0.0.1", port)) as raw:
            for number in range(2):
                raw.sendall(request_of("a", number))
                assert await trio.to_thread.run_sync(raw.recv, 100_000)
            raw.sendall(last)
            raw.shutdown(socket.SHUT_WR)  # no other task has had its turn in between
            raw.settimeout(30)
            received = b""
            while more := await trio.to_thread.run_sync(raw.recv, 100_000):
                received += more
            assert received.count(b"HTTP/1.1 ") == expected
            assert received.count(b'{"of":"a"}') == expected


async def test_what_is_anothers(port: int) -> None:
    """Another path goes to hypercorn, from a connection that was answered before as well."""
    async with connected(port) as client:
        for number in range(3):
            await client.stream.send_all(request_of("a", number))
            assert await client.answer() == (number, "a")
        await client.stream.send_all(request_of("a", path="/other"))
        assert await client.answer() == (501, None)


async def test_a_body_that_does_not_come(port: int) -> None:
    """`body_timeout` holds for it, after a head that is known by heart, too."""
    async with connected(port) as client:
        await client.stream.send_all(request_of("a"))
        assert await client.answer() == (1, "a")
        await client.stream.send_all(request_of("a")[:-5])
        assert await client.answer() == (408, None)
        assert await client.answer() is None


async def test_a_client_that_goes(port: int) -> None:
    """In the middle of a body, and of an answer; others are served on."""
    async with connected(port) as other:
        for name in ("a", "large"):
            await other.stream.send_all(request_of(name))
            assert await other.answer() is not None
        async with connected(port) as client:
            await client.stream.send_all(request_of("a")[:-5])
        for _ in range(3):
            async with connected(port) as client:
                await client.stream.send_all(request_of("large"))
        await other.stream.send_all(request_of("b", 3))
        assert await other.answer() == (3, "b")


@asynccontextmanager
async def waiting(folder: Path, count: int) -> AsyncIterator[list[Client]]:
    """So many clients at the local socket that were answered once, and wait; what they send next is of one turn."""
    async with AsyncExitStack() as stack:
        clients = [
            Client(await stack.enter_async_context(await trio.open_unix_socket(folder / LOCAL))) for _ in range(count)
        ]
        for name in "ab":
            for client in clients:
                await client.stream.send_all(request_of(name))
                assert await client.answer() == (1, name)
        await trio.testing.wait_all_tasks_blocked()
        yield clients


async def test_many_in_one_turn(port: int, tmp_path: Path) -> None:
    """Each gets its own answer, also of more than one turn has place for, and the next one."""
    async with waiting(tmp_path, 70) as clients:
        for round_ in range(3):
            for number, client in enumerate(clients):
                client.raw.send(request_of("ab"[(number + round_) % 2], number))
            for number, client in enumerate(clients):
                assert await client.answer() == (number, "ab"[(number + round_) % 2])


async def test_a_client_that_goes_before_its_answer_is_sent(port: int, tmp_path: Path) -> None:
    """The others of the turn get theirs, those before it and those behind, and are served on."""
    async with waiting(tmp_path, 6) as clients:
        for number, client in enumerate(clients):
            client.raw.send(request_of("a", number))
        gone = [clients.pop(4), clients.pop(1)]
        for client in gone:
            client.raw.shutdown(socket.SHUT_RDWR)
        for id_, client in zip((0, 2, 3, 5), clients, strict=True):
            assert await client.answer() == (id_, "a")
            await client.stream.send_all(request_of("b", id_))
            assert await client.answer() == (id_, "b")
        for client in gone:
            assert await client.answer() is None


async def test_a_client_that_does_not_read(port: int, tmp_path: Path) -> None:
    """It keeps nobody waiting who asks in the same turns, and finds all its answers in their order later."""
    async with waiting(tmp_path, 3) as (slow, one, other):
        await one.stream.send_all(request_of("medium"))
        assert await one.answer() == (1, "y" * MEDIUM)
        for number in range(30):
            for client in (one, slow, other):
                client.raw.send(request_of("medium" if client is slow else "a", number))
            assert await one.answer() == (number, "a")
            assert await other.answer() == (number, "a")
        for number in range(30):
            assert await slow.answer() == (number, "y" * MEDIUM)
        await slow.stream.send_all(request_of("b"))
        assert await slow.answer() == (1, "b")


@pytest.mark.parametrize("with_poller", [True, False])
async def test_a_drain_at_a_turn(tmp_path: Path, *, with_poller: bool) -> None:
    """What was sent when it began is answered, and then comes the end."""
    async with AsyncExitStack() as stack:
        server = serving(tmp_path, Poller() if with_poller else None)
        await server.__aenter__()
        clients = await stack.enter_async_context(waiting(tmp_path, 5))
        for number, client in enumerate(clients):
            client.raw.send(request_of("ab"[number % 2], number))
        await server.__aexit__(None, None, None)
        for number, client in enumerate(clients):
            assert await client.answer() == (number, "ab"[number % 2])
            assert await client.answer() is None


async def test_who_asks_again_at_a_drain(tmp_path: Path) -> None:
    """A client that was answered a moment ago may have its next request on the way, which is answered."""
    started, stop = trio.Event(), trio.Event()

    async def serve() -> None:
        async with serving(tmp_path, Poller()):
            started.set()
            await stop.wait()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        await started.wait()
        async with waiting(tmp_path, 1) as (client,):
            stop.set()
            await trio.testing.wait_all_tasks_blocked()
            await client.stream.send_all(request_of("b", 2))
            assert await client.answer() == (2, "b")
            assert await client.answer() is None
