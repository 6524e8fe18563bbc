"""Every fault that a connection can have, and the sentence that it becomes."""

from __future__ import annotations

import httpx2
import pytest
import trio

from gateway.errors import UpstreamError, UpstreamInvalid, UpstreamUnavailable
from gateway.upstream.client import open_client
from tests.fakes.http_server import HttpServer, Script, answer, cut_off, reset
from tests.upstream.asking import failure, section


async def test_refused(server: HttpServer) -> None:
    """Nothing listens there."""
    with trio.socket.socket() as unused:
        await unused.bind(("127.0.0.1", 0))
        server = HttpServer(port=unused.getsockname()[1])
    wanted = "api: no connection to http://host/doc: Connection refused"
    assert await failure(server, UpstreamUnavailable) == wanted


OK = b"HTTP/1.1 200 OK\r\n"
WITHOUT_AN_ANSWER = "http://host/doc closed the connection without an answer"
NO_HTTP = "http://host/doc did not answer in HTTP: "
BROKE_OFF = "the answer of http://host/doc broke off: "
INCOMPLETE = BROKE_OFF + "peer closed connection without sending complete message body "


@pytest.mark.parametrize(
    ("script", "kind", "sentence"),
    [
        (reset, UpstreamUnavailable, "the connection to http://host/doc broke: Connection reset by peer"),
        (cut_off(b""), UpstreamUnavailable, WITHOUT_AN_ANSWER),
        (cut_off(OK + b"Cont"), UpstreamUnavailable, WITHOUT_AN_ANSWER),
        (cut_off(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), UpstreamInvalid, NO_HTTP + "illegal status line"),
        (cut_off(OK + b"Content-Length: ten\r\n\r\n"), UpstreamInvalid, NO_HTTP + "bad Content-Length"),
        (
            cut_off(OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
            UpstreamInvalid,
            NO_HTTP + "conflicting Content-Length headers",
        ),
        (cut_off(answer(b'{"a": 1}')[:-3]), UpstreamUnavailable, INCOMPLETE + "(received 5 bytes, expected 8)"),
        (
            cut_off(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"),
            UpstreamUnavailable,
            INCOMPLETE + "(incomplete chunked read)",
        ),
        (
            cut_off(OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nab"),
            UpstreamUnavailable,
            BROKE_OFF + "illegal chunk header",
        ),
    ],
)
async def test_broken_answers(server: HttpServer, script: Script, kind: type[UpstreamError], sentence: str) -> None:
    """A connection that breaks may work the next time; an answer that is no HTTP is invalid."""
    server.on("/doc", script)
    assert (await failure(server, kind)).startswith(f"api: {sentence}")


async def test_endless_headers_are_cut(server: HttpServer) -> None:
    """A header block of more than 100 kB is not read on."""
    server.on("/doc", cut_off(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000))
    assert (await failure(server, UpstreamInvalid)).startswith("api: http://host/doc did not answer in HTTP: ")


async def test_tls_to_a_server_without_it(server: HttpServer) -> None:
    """The sentence says that it was TLS, and OpenSSL's reason."""
    server.on("/doc", answer(b"{}"))
    async with open_client("api", section()) as client:
        with trio.fail_after(10), pytest.raises(UpstreamUnavailable) as raised:
            await client.get(httpx2.URL(f"https://127.0.0.1:{server.port}/doc"))
    assert str(raised.value).startswith(f"api: no connection to https://127.0.0.1:{server.port}/doc: ")
