"""Answers that are too large, compressed, or both."""

from __future__ import annotations

import gzip
import tracemalloc

import pytest
import trio

from gateway.errors import UpstreamInvalid
from tests.fakes.http_server import HttpServer, Request, answer, cut_off, gzipped, then_silent
from tests.upstream.asking import failure, get


async def test_gzip_is_read(server: HttpServer) -> None:
    """One coding, one or more members."""
    server.on("/doc", gzipped(b'{"a": 1}'))
    assert (await get(server)).body == b'{"a": 1}'
    members = gzip.compress(b'{"a"') + gzip.compress(b": 1}")
    server.on("/doc", answer(members, headers={"Content-Encoding": "x-gzip"}))
    assert (await get(server)).body == b'{"a": 1}'


TOO_LARGE = "api: the answer is larger than 1MB (upstreams.api.max_response_size)"


async def test_a_declared_size_beyond_the_limit_is_not_read(server: HttpServer) -> None:
    """The answer stops after its head, and is refused all the same."""
    server.on("/doc", then_silent(b"HTTP/1.1 200 OK\r\nContent-Length: 1000001\r\n\r\n"))
    assert await failure(server, UpstreamInvalid, max_response_size="1MB") == TOO_LARGE


async def test_an_undeclared_size_beyond_the_limit_is_cut(server: HttpServer) -> None:
    """A chunked answer without end is read to the limit only."""

    async def endless(_request: Request, stream: trio.SocketStream) -> None:
        await stream.send_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await stream.send_all(b"8000\r\n" + b"x" * 0x8000 + b"\r\n")

    server.on("/doc", endless)
    assert await failure(server, UpstreamInvalid, max_response_size="1MB") == TOO_LARGE
    await server.closed.wait()


async def test_a_gzip_bomb_is_cut_in_bounded_memory(server: HttpServer) -> None:
    """50 MB from 48 kB: refused at 1 MB, with a few MB held."""
    bomb = gzipped(b"\0" * 50_000_000)
    assert len(bomb) < 60_000
    server.on("/doc", bomb)
    tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        assert await failure(server, UpstreamInvalid, max_response_size="1MB") == TOO_LARGE
        assert tracemalloc.get_traced_memory()[1] - before < 16_000_000
    finally:
        tracemalloc.stop()


async def test_a_gzip_stream_that_yields_nothing_is_cut_too(server: HttpServer) -> None:
    """Empty members cost the sender little and yield no byte; what is received is bounded as well."""
    body = gzip.compress(b"") * 100_000
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n"
    server.on("/doc", cut_off(head + body))
    assert await failure(server, UpstreamInvalid, max_response_size="1MB") == TOO_LARGE


@pytest.mark.parametrize(
    "coding", ["gzip, gzip", "gzip,gzip,gzip,gzip,gzip,gzip", "br", "deflate", "zstd", "\x1b[31m?"]
)
async def test_codings_that_were_not_asked_for_are_refused(server: HttpServer, coding: str) -> None:
    """Only one gzip is asked for: nested ones multiply what a small answer becomes."""
    server.on("/doc", answer(b"x", headers={"Content-Encoding": coding.replace("\x1b", "")}))
    sentence = await failure(server, UpstreamInvalid)
    assert sentence == f"api: the answer's Content-Encoding {coding.replace(chr(27), '')!r} was not asked for"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"this is no gzip", "Error -3 while decompressing data: incorrect header check"),
        (gzip.compress(b'{"a": 1}' * 100, mtime=0)[:-6], "the compressed data ends too early"),
        (
            gzip.compress(b'{"a": 1}' * 100, mtime=0)[:-8] + b"\0" * 8,
            "Error -3 while decompressing data: incorrect data check",
        ),
        (gzip.compress(b"{}", mtime=0) + b"rubbish", "Error -3 while decompressing data: incorrect header check"),
    ],
)
async def test_broken_gzip(server: HttpServer, body: bytes, reason: str) -> None:
    """Also a stream whose end, and so whose checksum, is missing."""
    server.on("/doc", answer(body, headers={"Content-Encoding": "gzip"}))
    wanted = f"api: the answer said it was gzip but is not: {reason}"
    assert await failure(server, UpstreamInvalid) == wanted
