"""The front before the SDK, on real sockets: the same answers, HTTP's framing, limits, a drain that loses nothing."""

from __future__ import annotations

import json
import signal
import socket
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.corpus import META, called, http, requests, routed, rpc
from tests.system.fronted import Answer, ask, connect, fronted, read_answer, write_profile
from tests.system.processes import Gateway

HIT = called({"name": "a"}, modern=False)
PING = http(rpc("ping"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the profile is."""
    folder = tmp_path_factory.mktemp("front")
    write_profile(folder)
    return folder


@pytest.fixture(scope="module")
def gateway(folder: Path) -> Iterator[Gateway]:
    """One gateway for the whole module, with limits that a test can reach."""
    limits = {"max_header_size": '"8KB"', "header_timeout": '"2s"', "body_timeout": '"2s"', "max_requests": "50"}
    more = [f"server.connections.{name}={value}" for name, value in limits.items()]
    with fronted(folder, *(part for each in more for part in ("--set", each))) as gateway:
        yield gateway


def events(gateway: Gateway) -> dict[str, float]:
    """How many connections were opened, closed and handed over."""
    with urllib.request.urlopen(f"{gateway.admin.split()[0]}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    told = [line.partition('gateway_connections_total{event="')[2] for line in lines]
    return {line.partition('"')[0]: float(line.rpartition(" ")[2]) for line in told if line}


def conversation(gateway: Gateway, data: bytes, count: int, *, half_close: bool = False) -> list[Answer | None]:
    """The first answers to what is sent in one go."""
    buffer = bytearray()
    with connect(gateway) as connection:
        connection.sendall(data)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        return [read_answer(connection, buffer) for _ in range(count)]


def test_the_front_answers_as_the_sdk_does(folder: Path) -> None:
    """Hundreds of good, odd and hostile requests: status, headers and body are the same, at first and again."""
    corpus = requests()
    assert len(corpus) >= 600
    different = {}
    with fronted(folder) as on, fronted(folder, "--set", "server.front=false") as off:
        for turn in ("first", "again"):
            for name, request in corpus.items():
                with_front, without = ask(on, request), ask(off, request)
                assert with_front is not None, name
                assert without is not None, name
                if with_front.comparable != without.comparable:
                    different[f"{name}, {turn}"] = with_front, without
        counted = events(on)
    assert different == {}
    assert counted["opened"] - counted["handed_over"] >= 300, "or the front has answered next to nothing itself"


@pytest.mark.parametrize("modern", [False, True])
@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_an_answer_is_compressed_where_that_pays(gateway: Gateway, coding: str, *, modern: bool) -> None:
    """It decompresses to what it is without; a short one stays as it is."""
    params = {"name": "long", "arguments": {}, **({"_meta": META} if modern else {})}
    headers = routed("tools/call", "long") if modern else []
    plain = http(rpc("tools/call", params), *headers)
    ask(gateway, plain)
    packed = http(rpc("tools/call", params), *headers, ("Accept-Encoding", f"{coding}, br"))
    expected, buffer = ask(gateway, plain), bytearray()
    with connect(gateway) as connection:
        connection.sendall(packed)
        while b"\r\n\r\n" not in buffer:
            buffer += connection.recv(65536)
        head, _, body = bytes(buffer).partition(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        while len(body) < size:
            body += connection.recv(65536)
    assert expected is not None
    assert f"content-encoding: {coding}".encode() in head
    assert b"vary: accept-encoding" in head
    assert size < 0.9 * len(expected.body)
    if coding == "gzip":
        unpacked = zlib.decompress(body, zlib.MAX_WBITS | 16)
    else:
        from backports import zstd

        unpacked = zstd.decompress(body)
    assert Answer(200, (), unpacked).comparable == Answer(200, (), expected.body).comparable
    short = ask(gateway, http(rpc("ping"), ("Accept-Encoding", coding)))
    assert short is not None
    assert not any(line.startswith(b"content-encoding") for line in short.headers)


FRAMING = {
    "a length and a coding": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a coding and a length": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nxxxxx",
    "the same length twice": b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nxxxxx",
    "a list of lengths": b"Content-Length: 5, 5\r\n\r\nxxxxx",
    "a signed length": b"Content-Length: +5\r\n\r\nxxxxx",
    "a negative length": b"Content-Length: -5\r\n\r\nxxxxx",
    "a hexadecimal length": b"Content-Length: 0x5\r\n\r\nxxxxx",
    "an empty length": b"Content-Length:\r\n\r\n",
    "a length beyond numbers": b"Content-Length: 99999999999999999999999\r\n\r\n",
    "a blank before the colon": b"Content-Length : 5\r\n\r\nxxxxx",
    "a folded header": b"X: y\r\n Content-Length: 5\r\n\r\nxxxxx",
    "a line feed alone": b"X: y\nContent-Length: 5\r\n\r\nxxxxx",
    "a carriage return alone": b"X: y\rContent-Length: 5\r\n\r\nxxxxx",
    "a null in a name": b"X\x00: y\r\nContent-Length: 5\r\n\r\nxxxxx",
    "a null in a value": b"X: \x00y\r\nContent-Length: 5\r\n\r\nxxxxx",
    "no name": b": y\r\nContent-Length: 5\r\n\r\nxxxxx",
    "no colon": b"nothing\r\nContent-Length: 5\r\n\r\nxxxxx",
    "chunked, but not last": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "an odd chunked": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", FRAMING)
def test_ambiguous_framing_is_refused(gateway: Gateway, name: str) -> None:
    """400 and the end of the connection: what follows is never taken for a request (RFC 9112, sections 5 and 6)."""
    head = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: */*\r\n"
    first, second = conversation(gateway, head + FRAMING[name] + PING, 2)
    assert first is not None
    assert first.status == 400
    assert first.body.startswith(b"Bad request: ")
    assert second is None


@pytest.mark.parametrize(
    "first",
    [b"POST /mcp HTTP/1.1 \x00", b"POST  /mcp HTTP/1.1", b"POST /mcp HTTP/9.9", b"POST /m cp HTTP/1.1", b"\x00"],
)
def test_a_first_line_that_is_none_is_refused(gateway: Gateway, first: bytes) -> None:
    """400 and the end of the connection."""
    answer, after = conversation(gateway, first + b"\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n" + PING, 2)
    assert answer is not None
    assert answer.status == 400
    assert after is None


def test_what_follows_a_smuggled_body_is_no_request(gateway: Gateway) -> None:
    """A body that looks like a request is a body."""
    inner = called({"name": "unicode"}, modern=False)
    first, second = conversation(gateway, http(inner) + PING, 2)
    assert first is not None
    assert second is not None
    assert first.status == 400  # no JSON
    assert json.loads(second.body)["result"] == {}


def test_pipelined_requests_are_answered_in_order(gateway: Gateway) -> None:
    """Also where something between them has to go the long way, or does not come from the cache."""
    many = [called({"name": "a"}, number, modern=number % 2 == 0) for number in range(20)]
    many[7] = called({}, 7, modern=False, name="changing")
    answers = conversation(gateway, b"".join(many), 20)
    assert [json.loads(answer.body)["id"] for answer in answers if answer is not None] == list(range(20))
    many[11] = called({"name": "a"}, 11, modern=False, task={"ttl": 1})
    answers = conversation(gateway, b"".join(many), 20)
    assert [json.loads(answer.body)["id"] for answer in answers if answer is not None] == list(range(20))


def test_a_client_that_sends_no_more_gets_its_answer(gateway: Gateway) -> None:
    """Half-closed: what was asked for before is answered."""
    assert [answer and answer.status for answer in conversation(gateway, HIT + PING, 2, half_close=True)] == [200, 200]


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_request_may_arrive_in_pieces(gateway: Gateway, size: int) -> None:
    """However the network cuts it."""
    with connect(gateway) as connection:
        for start in range(0, len(HIT), size):
            connection.sendall(HIT[start : start + size])
        answer = read_answer(connection, bytearray())
    assert answer is not None
    assert answer.status == 200


def test_empty_lines_before_a_request_are_passed_over(gateway: Gateway) -> None:
    """Some clients send one behind a body (RFC 9112, section 2.2)."""
    assert [answer and answer.status for answer in conversation(gateway, b"\r\n" + PING + b"\r\n\r\n" + PING, 2)] == [
        200,
        200,
    ]


def test_a_head_that_is_too_large_is_refused(gateway: Gateway) -> None:
    """431, which names the key; in one piece or without end."""
    for data in (http(rpc("ping"), ("X", "y" * 9000)), b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 70_000):
        answer, after = conversation(gateway, data, 2)
        assert answer is not None
        assert answer.status == 431
        assert b"server.connections.max_header_size" in answer.body
        assert after is None


@pytest.mark.parametrize("sent", [HIT[:30], HIT[:-10]])
def test_a_slow_request_is_given_up(gateway: Gateway, sent: bytes) -> None:
    """408, which names the key, and the end of the connection."""
    answer, after = conversation(gateway, sent, 2)
    assert answer is not None
    assert answer.status == 408
    assert (b"header_timeout" if len(sent) == 30 else b"body_timeout") in answer.body
    assert after is None


def test_a_head_that_trickles_has_one_deadline(gateway: Gateway) -> None:
    """Each byte does not buy more time."""
    with connect(gateway) as connection:
        connection.settimeout(0.2)
        buffer = bytearray()
        for byte in HIT[:100]:
            try:
                connection.sendall(bytes((byte,)))
                buffer += connection.recv(65536)
                break
            except TimeoutError:
                continue
        assert buffer.startswith(b"HTTP/1.1 408")


def test_a_connection_ends_with_its_last_request(gateway: Gateway) -> None:
    """The answer to the last one that a connection may ask says so."""
    answers = conversation(gateway, PING * 60, 51)
    assert [answer and answer.status for answer in answers] == [200] * 50 + [None]
    assert answers[49] is not None
    assert b"connection: close" in answers[49].headers
    assert answers[48] is not None
    assert b"connection: close" not in answers[48].headers


def test_who_asks_to_close_is_told_so(gateway: Gateway) -> None:
    """`Connection: close` is heeded and answered (RFC 9112, section 9.6)."""
    answer, after = conversation(gateway, http(rpc("ping"), ("Connection", "close")) + PING, 2)
    assert answer is not None
    assert b"connection: close" in answer.headers
    assert after is None


def test_http_2_and_tls_are_handed_on(gateway: Gateway) -> None:
    """HTTP/2 with prior knowledge is served by hypercorn; TLS, which it has no key for, only ends."""
    before = events(gateway).get("handed_over", 0)
    with connect(gateway) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
        assert connection.recv(9)[3] == 4  # SETTINGS
    with connect(gateway) as connection:
        connection.sendall(b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(160))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
    assert events(gateway).get("handed_over", 0) == before + 2
    assert conversation(gateway, PING, 1)[0] is not None


def test_a_client_that_resets_harms_nobody(gateway: Gateway) -> None:
    """Connections that vanish in the midst of anything leave the others alone."""
    for length in (0, 10, len(HIT) - 1, len(HIT)):
        connection = connect(gateway)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        connection.sendall(HIT[:length])
        connection.close()
    assert conversation(gateway, PING, 1)[0] is not None


def test_a_client_that_does_not_read_is_given_up(gateway: Gateway) -> None:
    """Its answers fill what the system holds for it; then its time runs out, and nobody else waits."""
    request = called({}, modern=False, name="long")
    with connect(gateway) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(60)
        with pytest.raises(ConnectionError):
            connection.sendall(request * 100_000)
        assert conversation(gateway, PING, 1)[0] is not None


def test_connections_beyond_the_limit_wait(folder: Path) -> None:
    """They are served when another one closes."""
    with fronted(folder, "--set", "server.connections.max=2") as gateway:
        first, second, third = (connect(gateway) for _ in range(3))
        with first, second, third:
            for connection in (first, second):
                connection.sendall(PING)
                assert read_answer(connection, bytearray()) is not None
            third.sendall(PING)
            third.settimeout(0.5)
            with pytest.raises(TimeoutError):
                third.recv(1)
            first.close()
            third.settimeout(30)
            assert read_answer(third, bytearray()) is not None


def test_a_drain_answers_what_was_sent(folder: Path) -> None:
    """At SIGTERM: idle connections are closed, a request that has begun is answered and is the last."""
    with fronted(folder, told=True) as gateway, connect(gateway) as idle, connect(gateway) as begun:
        idle.sendall(PING)
        buffer = bytearray()
        assert read_answer(idle, buffer) is not None
        begun.sendall(HIT[:-5])
        ask(gateway, PING)
        gateway.process.terminate()
        assert idle.recv(1) == b""
        begun.sendall(HIT[-5:])
        answer = read_answer(begun, bytearray())
        assert answer is not None
        assert answer.status == 200
        assert b"connection: close" in answer.headers


@pytest.mark.parametrize("front", ["true", "false"])
def test_a_unix_socket(folder: Path, tmp_path: Path, front: str) -> None:
    """MCP on a Unix socket, alone: by the front, by hypercorn behind it, and without it."""
    path = tmp_path / "mcp.sock"
    unix = ("--set", f"server.sockets=['{path}']", "--set", "server.bind=[]")
    with fronted(folder, *unix, "--set", f"server.front={front}"):
        for request in (HIT, HIT, http(rpc("tools/list", {"cursor": "x"}))):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(30)
                connection.connect(str(path))
                connection.sendall(request)
                assert read_answer(connection, bytearray()) is not None
    assert not path.exists()


@pytest.mark.parametrize("response", ["json", "stream"])
def test_connections_in_the_queue_are_answered(folder: Path, response: str) -> None:
    """What the system has accepted when the end comes is served, once: by the front, and by hypercorn behind it."""
    with fronted(folder, "--set", f"server.response={response}", told=True) as gateway:
        ask(gateway, PING)
        gateway.process.send_signal(signal.SIGSTOP)
        queued = [connect(gateway) for _ in range(5)]
        for connection in queued:
            connection.sendall(PING)
        gateway.process.terminate()
        gateway.process.send_signal(signal.SIGCONT)
        for connection in queued:
            with connection:
                assert read_answer(connection, bytearray()) is not None
