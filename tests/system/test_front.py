"""The front before the SDK, on real sockets: the same answers, HTTP's framing, limits, a drain that loses nothing."""

from __future__ import annotations

import json
import signal
import socket
import time
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
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


def test_a_bad_head_behind_an_empty_line_in_pieces_is_refused_at_once(gateway: Gateway) -> None:
    """As any other: nobody waits for the deadline."""
    with connect(gateway) as connection:
        for part in (b"\r", b"\n", b"GET / HTTP/1.1\nX: y\n\n"):
            connection.sendall(part)
            ask(gateway, PING)
        answer = read_answer(connection, bytearray())
    assert answer is not None
    assert answer.status == 400


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


def test_a_client_that_does_not_read_is_given_up(folder: Path) -> None:
    """Its answers fill what the system holds for it; then its time runs out, and nobody else waits."""
    request = called({}, modern=False, name="long")
    timeout = 'server.connections.body_timeout="2s"'
    with fronted(folder, "--set", timeout) as gateway, connect(gateway) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(60)
        with pytest.raises(ConnectionError):
            connection.sendall(request * 100_000)
        assert conversation(gateway, PING, 1)[0] is not None
        assert events(gateway)["timed_out"] == 1


def test_a_last_answer_arrives_whatever_else_was_sent(folder: Path) -> None:
    """What is not read any more does not reset the connection while the answer is under way."""
    (folder / "docs" / "large.json").write_text(json.dumps(["x" * 1000] * 5_000))
    request = http(rpc("tools/call", {"name": "doc", "arguments": {"name": "large"}}), ("Connection", "close"))
    with fronted(folder) as gateway, connect(gateway) as connection:
        ask(gateway, request)
        connection.sendall(request + PING * 500)
        answer = read_answer(connection, bytearray())
    assert answer is not None
    assert len(answer.body) > 5_000_000


def test_no_socket_waits_for_another_one(folder: Path, tmp_path: Path) -> None:
    """One that nobody connects to takes nothing of the connections that there may be."""
    path = str(tmp_path / "s")
    with fronted(folder, "--set", "server.connections.max=1", "--set", f'server.sockets=["{path}"]') as gateway:
        assert ask(gateway, PING) is not None
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            connection.connect(path)
            connection.sendall(PING)
            assert read_answer(connection, bytearray()) is not None
        assert ask(gateway, PING) is not None


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


def test_a_full_memory_answers(folder: Path) -> None:
    """What is made of an entry for serving it can cost that entry its place, and never the client its answer."""
    with fronted(folder, "--set", 'cache.memory.max_size="4KB"') as gateway:
        for _ in range(4):
            for name in ("a", "unicode", "text", "a"):
                answer = ask(gateway, called({"name": name}, modern=False))
                assert answer is not None
                assert answer.status == 200


def test_a_refused_question_counts_once(folder: Path) -> None:
    """The rate limit counts requests, whether the SDK or the front answers them."""
    request = http(rpc("prompts/list", {"_meta": META}), *routed("prompts/list"))
    with fronted(folder, "--set", 'server.rate_limit={ max = 3, window = "1h" }') as gateway:
        answers = [ask(gateway, request) for _ in range(4)]
    assert [answer.status for answer in answers if answer is not None] == [404, 404, 404, 429]


def test_a_drain_answers_what_is_handed_over(folder: Path) -> None:
    """Hypercorn, which closes what is idle then, has the request before it looks."""
    request = http(rpc("nothing"))
    with fronted(folder, told=True) as gateway, ExitStack() as stack:
        connections = [stack.enter_context(connect(gateway)) for _ in range(10)]
        for connection in connections:
            connection.sendall(request[:20])
        ask(gateway, PING)
        gateway.process.terminate()
        gateway.wait_for("stopping")
        for connection in connections:
            connection.sendall(request[20:])
        answers = [read_answer(connection, bytearray()) for connection in connections]
    assert all(answers)


def test_a_drain_ends_with_an_answer_that_was_being_written(folder: Path) -> None:
    """A client that keeps its connection open, and reads slowly, does not hold it up for the whole of its timeout."""
    with fronted(folder, "--set", 'server.drain_timeout="1m"', told=True) as gateway, socket.socket() as slow:
        (folder / "docs" / "large.json").write_text(json.dumps(["x" * 1000] * 10_000))
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(30)
        slow.connect(("127.0.0.1", gateway.port))
        slow.sendall(called({"name": "large"}, modern=False))
        assert slow.recv(1) == b"H"
        gateway.process.terminate()
        gateway.wait_for("stopping")
        assert read_answer(slow, bytearray(b"H")) is not None
        assert slow.recv(1) == b""


def test_a_drain_answers_who_has_just_connected(folder: Path) -> None:
    """A client whose first request comes a moment after the end began is answered; who never asks is not waited for."""
    with fronted(folder, "--set", 'server.drain_timeout="10m"', told=True) as gateway, connect(gateway) as idle:
        with connect(gateway) as late:
            ask(gateway, PING)  # and so both of them are accepted
            gateway.process.terminate()
            gateway.wait_for("stopping")
            assert httpx2.get(f"{gateway.admin}/readyz", trust_env=False).status_code == 503
            late.sendall(PING)
            answer = read_answer(late, bytearray())
            assert answer is not None
            assert answer.status == 200
            assert late.recv(1) == b""
        assert idle.recv(1) == b""


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


def test_a_drain_answers_what_was_sent_to_others(folder: Path) -> None:
    """Also a request that has to be handed on."""
    foreign = http(rpc("tools/list", {"cursor": "x"}))
    with fronted(folder, told=True) as gateway, connect(gateway) as begun:
        begun.sendall(foreign[:-5])
        ask(gateway, PING)
        gateway.process.terminate()
        gateway.wait_for("stopping")
        begun.sendall(foreign[-5:])
        answer = read_answer(begun, bytearray())
        assert answer is not None
        assert b"Unknown cursor" in answer.body


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


@pytest.mark.parametrize("front", ["true", "false"])
def test_who_breaks_off_while_it_is_answered_ends_nobody_else(folder: Path, front: str) -> None:
    """A body that is no body, just as the answer to its head is under way: at MCP, beside it, and on the admin site."""
    with fronted(folder, "--set", f"server.front={front}") as gateway:
        admin = urlsplit(gateway.admin.split()[0])
        mcp = ("127.0.0.1", gateway.port)
        for address, path in ((mcp, "/mcp"), (mcp, "/none"), ((admin.hostname, admin.port), "/api/cache/stats")):
            head = f"POST {path} HTTP/1.1\r\nHost: localhost:{address[1]}\r\nTransfer-Encoding: chunked\r\n\r\n"
            for number in range(75):
                with socket.create_connection(address, timeout=30) as connection:
                    connection.sendall(head.encode())
                    time.sleep(number % 15 / 5000)  # it takes some thousandths of a second to answer
                    with suppress(ConnectionError):
                        connection.sendall(b"zz\x00\r\n\r\n")
                        while connection.recv(65536):
                            pass
        head = f"POST /mcp HTTP/1.1\r\nHost: localhost:{gateway.port}\r\nContent-Type: application/json\r\n"
        for begun in ("", '{"json'):
            with socket.create_connection(mcp, timeout=30) as connection:
                connection.sendall(f"{head}Accept: application/json\r\nContent-Length: 50\r\n\r\n{begun}".encode())
                time.sleep(0.1)
        answer = ask(gateway, PING)
        assert answer is not None
        assert answer.status == 200
        assert gateway.stop() == 0  # which looks for tracebacks, too
        assert "a connection failed" not in gateway.stderr
