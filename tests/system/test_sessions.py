"""Sessions over raw HTTP: whose they are, how they end, how many there are, and what a stop does to open streams."""

from __future__ import annotations

import http.client
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from tests.system.conformance.fixtures import fixtures
from tests.system.corpus import INITIALIZE, META, MODERN, routed, rpc
from tests.system.corpus import http as request_of
from tests.system.fronted import ask, connect, fronted, read_answer, write_profile
from tests.system.processes import Gateway

TOKENS = {"alice": "alice-alice-alice-1", "bob": "bob-bob-bob-bob-2"}
CLIENTS = """
[server]
authentication = "bearer"
[clients.alice]
token = "${credential:alice}"
[clients.bob]
token = "${credential:bob}"
"""
NOT_FOUND = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "Session not found"}}

pytestmark = pytest.mark.parametrize("front", ["true", "false"])


@dataclass(frozen=True)
class Told:
    """An answer."""

    status: int
    session: str | None
    body: bytes


def tell(
    gateway: Gateway, body: str, session: str | None = None, *, method: str = "POST", client: str | None = None
) -> Told:
    """The answer to one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    try:
        connection.request(method, "/mcp", body, headers_of(session, client))
        answer = connection.getresponse()
        return Told(answer.status, answer.headers["mcp-session-id"], answer.read())
    finally:
        connection.close()


def headers_of(session: str | None, client: str | None = None) -> dict[str, str]:
    said = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    if session is not None:
        said["Mcp-Session-Id"] = session
    if client is not None:
        said["Authorization"] = f"Bearer {TOKENS[client]}"
    return said


def opened(gateway: Gateway, client: str | None = None) -> str:
    """The id of a new session."""
    told = tell(gateway, rpc("initialize", INITIALIZE), client=client)
    assert told.status == 200, told
    assert told.session is not None
    return told.session


@contextmanager
def serving(folder: Path, front: str, *settings: str, more: str = "", ended: bool = False) -> Iterator[Gateway]:
    """A gateway with sessions and `more` in its profile; it has to end well, if the test has not `ended` it already."""
    path = write_profile(folder)
    path.write_text(path.read_text() + more)
    told = [part for each in ("sessions=true", f"front={front}", *settings) for part in ("--set", f"server.{each}")]
    with fronted(folder, *told, told=ended) as gateway:
        yield gateway


@contextmanager
def listening(gateway: Gateway, session: str) -> Iterator[http.client.HTTPResponse]:
    """The event stream of a session."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    try:
        connection.request("GET", "/mcp", headers=headers_of(session))
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield answer
    finally:
        connection.close()


def test_a_session_from_its_beginning_to_its_end(front: str, tmp_path: Path) -> None:
    """initialize opens it, requests need it, DELETE ends it; the modern era has none."""
    with serving(tmp_path, front) as gateway:
        session = opened(gateway)
        assert tell(gateway, json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}), session) == Told(
            202, session, b""
        )
        for _ in range(2):
            called = tell(gateway, rpc("tools/call", {"name": "doc", "arguments": {"name": "a"}}), session)
            assert (called.status, called.session) == (200, session)
            assert json.loads(called.body)["result"]["structuredContent"]["b"] is None
        assert tell(gateway, rpc("tools/list")).status == 400
        assert json.loads(tell(gateway, rpc("tools/list"), "unknown").body) == NOT_FOUND
        assert tell(gateway, "", session, method="DELETE").status == 200
        for method in ("POST", "GET", "DELETE"):
            ended = tell(gateway, rpc("ping"), session, method=method)
            assert (ended.status, json.loads(ended.body)) == (404, NOT_FOUND)
        modern = ask(gateway, request_of(rpc("tools/list", {"_meta": META}), *routed("tools/list")))
        assert modern is not None
        assert modern.status == 200
        stream = ask(gateway, request_of("", ("MCP-Protocol-Version", MODERN), first="GET /mcp HTTP/1.1"))
        assert stream is not None
        assert stream.status == 405


def test_a_session_is_its_clients(front: str, tmp_path: Path) -> None:
    """To another client that knows its id it does not exist, whatever is asked of it; its own goes on."""
    (tmp_path / "credentials").mkdir()
    for name, token in TOKENS.items():
        (tmp_path / "credentials" / name).write_text(token)
    with serving(tmp_path, front, more=CLIENTS) as gateway:
        session = opened(gateway, "alice")
        for method in ("POST", "GET", "DELETE"):
            foreign = tell(gateway, rpc("ping"), session, method=method, client="bob")
            unknown = tell(gateway, rpc("ping"), "unknown", method=method, client="bob")
            assert foreign == unknown
            assert (foreign.status, json.loads(foreign.body)) == (404, NOT_FOUND)
        assert tell(gateway, rpc("ping"), session).status == 401
        assert tell(gateway, rpc("ping"), session, client="alice").status == 200
        assert tell(gateway, rpc("ping"), opened(gateway, "bob"), client="bob").status == 200
        assert not any(token in gateway.stderr for token in TOKENS.values())


async def test_a_session_that_nobody_uses_ends(front: str, tmp_path: Path) -> None:
    """After its time, unless an event stream is open."""
    with serving(tmp_path, front, 'session_timeout="200ms"') as gateway:
        kept, session = opened(gateway), opened(gateway)
        with listening(gateway, kept), trio.fail_after(30):
            while tell(gateway, rpc("ping"), session).status == 200:  # noqa: ASYNC110  # that time passes is the point
                await trio.sleep(0.5)
            assert tell(gateway, rpc("ping"), kept).status == 200


def test_there_are_only_so_many_sessions(front: str, tmp_path: Path) -> None:
    """Who would open another one is refused with 503, until one ends; the others go on."""
    with serving(tmp_path, front, "max_sessions=2") as gateway:
        first, second = opened(gateway), opened(gateway)
        refused = tell(gateway, rpc("initialize", INITIALIZE))
        assert refused.status == 503
        assert json.loads(refused.body)["error"]["message"] == "Too many open sessions"
        assert tell(gateway, rpc("ping"), second).status == 200
        tell(gateway, "", first, method="DELETE")
        assert tell(gateway, rpc("ping"), opened(gateway)).status == 200


def test_a_stop_ends_streams_and_answers_requests(front: str, tmp_path: Path) -> None:
    """At SIGTERM an open stream is ended as it should be and holds nothing up; a request under way is answered."""
    with serving(tmp_path, front, 'drain_timeout="10m"', ended=True) as gateway:
        session = opened(gateway)
        request = request_of(rpc("ping"), ("Mcp-Session-Id", session))
        with listening(gateway, session) as stream, connect(gateway) as begun:
            begun.sendall(request[:-5])
            tell(gateway, rpc("ping"), session)
            gateway.process.send_signal(signal.SIGTERM)
            assert stream.read() == b""
            begun.sendall(request[-5:])
            answer = read_answer(begun, bytearray())
            assert answer is not None
            assert json.loads(answer.body)["result"] == {}


def test_a_body_that_does_not_come_is_given_up(front: str, tmp_path: Path) -> None:
    """408, which names the key; the session stays."""
    with serving(tmp_path, front, 'connections.body_timeout="500ms"') as gateway:
        session = opened(gateway)
        with connect(gateway) as connection:
            connection.sendall(request_of(rpc("ping"), ("Mcp-Session-Id", session))[:-5])
            answer = read_answer(connection, bytearray())
        assert answer is not None
        assert answer.status == 408
        assert b"server.connections.body_timeout" in answer.body
        assert tell(gateway, rpc("ping"), session).status == 200


def test_a_question_that_is_open_ends_with_a_stop(front: str, tmp_path: Path) -> None:
    """Nobody waits for a client that does not answer once `drain_timeout` is over, nor is it asked anything more."""
    told = ("sessions=true", f"front={front}", 'drain_timeout="1s"')
    settings = [part for each in told for part in ("--set", f"server.{each}")]
    with Gateway.serving(tmp_path, *fixtures(tmp_path), *settings) as gateway, connect(gateway) as asked:
        session = tell(gateway, rpc("initialize", {**INITIALIZE, "capabilities": {"elicitation": {}}})).session
        assert session is not None
        call = rpc("tools/call", {"name": "test_elicitation", "arguments": {"message": "Who?"}})
        asked.sendall(request_of(call, ("Mcp-Session-Id", session)))
        heard = b""
        while b"elicitation/create" not in heard:
            heard += asked.recv(65536)
        assert gateway.stop() == 0
        assert "gave up" not in gateway.stderr
