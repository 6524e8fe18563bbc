"""What arrives beyond an answer is never taken for the next one."""

from __future__ import annotations

import httpx2
import pytest

from gateway.upstream.client import Answer, Outgoing, open_client
from gateway.upstream.model import Validators
from tests.fakes.http_server import HttpServer, answer
from tests.upstream.asking import section

RIGHT, WRONG = answer(b'{"is": "right"}'), answer(b'{"is": "wrong"}')


async def second(server: HttpServer, first: bytes, request: Outgoing) -> Answer:
    """The answer to /second, asked for after /first, to which the server sends `first`."""
    server.on("/first", first)
    server.on("/second", RIGHT)
    async with open_client("api", section()) as client:
        await client.send(request)
        return await client.get(httpx2.URL(f"{server.url}/second"))


@pytest.mark.parametrize(
    "first",
    [
        RIGHT + WRONG,  # sent twice
        RIGHT + b"\r\nnot HTTP",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + WRONG,
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}" + WRONG[:20],
    ],
)
async def test_what_follows_an_answer_is_not_the_next_one(server: HttpServer, first: bytes) -> None:
    """The connection is not used again, and the second request is answered over another."""
    got = await second(server, first, Outgoing("GET", httpx2.URL(f"{server.url}/first")))
    assert got.body == b'{"is": "right"}'
    assert server.connections == 2


async def test_a_body_where_there_may_be_none(server: HttpServer) -> None:
    """An answer to HEAD, a 204 or a 304 with a body, such as broken servers send."""
    for request, head in (
        (Outgoing("HEAD", httpx2.URL(f"{server.url}/first")), b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"),
        (Outgoing("GET", httpx2.URL(f"{server.url}/first"), validators=Validators('"1"')),
         b"HTTP/1.1 304 Not Modified\r\nContent-Length: %d\r\n\r\n"),
    ):  # fmt: skip
        got = await second(server, head % len(WRONG) + WRONG, request)
        assert got.body == b'{"is": "right"}'


async def test_a_connection_without_excess_is_used_again(server: HttpServer) -> None:
    """However its answers are framed."""
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    for first in (RIGHT, chunked, b"HTTP/1.1 204 No Content\r\n\r\n"):
        before = server.connections
        await second(server, first, Outgoing("GET", httpx2.URL(f"{server.url}/first")))
        assert server.connections == before + 1
