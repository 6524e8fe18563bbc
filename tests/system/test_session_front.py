"""Where there are sessions, whoever answers, the answer is the same; and what streamed answers leave behind."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.system.corpus import INITIALIZE, META, http, requests, routed, rpc
from tests.system.fronted import Answer, ask, connect, fronted, read_answer, write_profile
from tests.system.processes import Gateway

SESSION = re.compile(rb"^mcp-session-id: ([0-9a-f]{32})$")


def session_of(answer: Answer | None) -> str:
    """The session that an answer names."""
    assert answer is not None
    (named,) = filter(None, map(SESSION.match, answer.headers))
    return named[1].decode()


def compared(gateway: Gateway, request: bytes) -> tuple[int, tuple[bytes, ...], bytes]:
    """What has to be the same whoever answers: of sessions, only that one is named."""
    answer = ask(gateway, request)
    assert answer is not None, request
    status, headers, body = answer.comparable
    return status, tuple(SESSION.sub(b"mcp-session-id: a session", line) for line in headers), body


def within(request: bytes, session: str) -> bytes:
    """The request as one of a session."""
    return request.replace(b"\r\n", f"\r\nMcp-Session-Id: {session}\r\n".encode(), 1)


def test_the_front_answers_as_the_sdk_does(tmp_path: Path) -> None:
    """Hundreds of good, odd and hostile requests, each of no session and of one."""
    corpus = requests()
    write_profile(tmp_path)
    told = ("--set", "server.sessions=true")
    different: dict[str, object] = {}
    with fronted(tmp_path, *told) as on, fronted(tmp_path, *told, "--set", "server.front=false") as off:
        opening = http(rpc("initialize", INITIALIZE))
        sessions = {gateway: session_of(ask(gateway, opening)) for gateway in (on, off)}
        for name, request in corpus.items():
            without = compared(on, request), compared(off, request)
            if without[0] != without[1]:
                different[name] = without
            if name in ("framing: GET", "framing: DELETE /mcp HTTP/1.1"):
                continue  # the one has no end, and the other one is the session's
            inside = tuple(compared(gateway, within(request, session)) for gateway, session in sessions.items())
            if inside[0] != inside[1]:
                different[f"{name}, of a session"] = inside
    assert different == {}


def test_connections_in_the_queue_are_answered(tmp_path: Path) -> None:
    """What the system has accepted when the end comes is served as long as its session is there."""
    write_profile(tmp_path)
    with fronted(tmp_path, "--set", "server.sessions=true", told=True) as gateway:
        session = session_of(ask(gateway, http(rpc("initialize", INITIALIZE))))
        gateway.process.send_signal(signal.SIGSTOP)
        queued = [connect(gateway) for _ in range(5)]
        for number, connection in enumerate(queued):
            connection.sendall(within(http(rpc("ping", id_=number)), session))
        gateway.process.terminate()
        gateway.process.send_signal(signal.SIGCONT)
        for connection in queued:
            with connection:
                answer = read_answer(connection, bytearray())
                assert answer is not None
                assert answer.status == 200


@pytest.mark.parametrize("front", ["true", "false"])
@pytest.mark.parametrize("sessions", ["true", "false"])
def test_a_connection_is_idle_after_a_stream(tmp_path: Path, sessions: str, front: str) -> None:
    """Once a streamed answer is whole, the connection ends as any other that is idle does."""
    write_profile(tmp_path)
    told = ("response='stream'", "connections.idle_timeout='300ms'", f"sessions={sessions}", f"front={front}")
    with fronted(tmp_path, *(part for each in told for part in ("--set", f"server.{each}"))) as gateway:
        request = http(rpc("ping"))
        if sessions == "true":
            request = within(request, session_of(ask(gateway, http(rpc("initialize", INITIALIZE)))))
        with connect(gateway) as connection:
            connection.sendall(request)
            buffer = bytearray()
            answer = read_answer(connection, buffer)
            assert answer is not None
            assert answer.status == 200
            assert read_answer(connection, buffer) is None


@pytest.mark.parametrize("front", ["true", "false"])
@pytest.mark.parametrize("sessions", ["true", "false"])
def test_a_stop_ends_listen_streams(tmp_path: Path, sessions: str, front: str) -> None:
    """A client of the modern era that listens gets its final answer, and the connection holds nothing up."""
    write_profile(tmp_path)
    told = ("drain_timeout='10m'", f"sessions={sessions}", f"front={front}")
    settings = [part for each in told for part in ("--set", f"server.{each}")]
    with fronted(tmp_path, *settings, told=True) as gateway, connect(gateway) as connection:
        params = {"notifications": {"toolsListChanged": True}, "_meta": META}
        connection.sendall(http(rpc("subscriptions/listen", params), *routed("subscriptions/listen")))
        heard = connection.recv(65536)
        gateway.process.terminate()
        while data := connection.recv(65536):
            heard += data
        assert b'"resultType":"complete"' in heard
        assert heard.endswith(b"0\r\n\r\n")
