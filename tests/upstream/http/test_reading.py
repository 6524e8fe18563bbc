from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
import trio

from gateway.errors import UpstreamInvalid
from gateway.upstream.model import Fetched
from tests.fakes.http_server import HttpServer, answer
from tests.upstream.http.asking import fetch, refused, wanted

PAGE = "<html><body><nav>menu</nav><main><h1>Täst</h1></main></body></html>".encode()


@pytest.mark.parametrize(
    ("content_type", "body", "read_as", "kept"),
    [
        ("text/plain", b'{"a": 1}', "json", ("application/json", b'{"a": 1}')),
        ("", b'{"a": 1}', "json", ("application/json", b'{"a": 1}')),
        ("application/json", b"no json", "text", ("text/plain", b"no json")),
        ("application/xml", b"<a>1</a>", None, ("application/json", b'{"a":"1"}')),
        ("application/atom+xml; charset=latin1", b"<a>\xe9</a>", None, ("application/json", '{"a":"é"}'.encode())),
        ("application/xml", b"<a>1</a>", "text", ("text/plain", b"<a>1</a>")),
        ("text/plain", b"<a>1</a>", "xml", ("application/json", b'{"a":"1"}')),
        ("image/svg+xml", b"<svg/>", None, ("image/svg+xml", b"<svg/>")),
        ("text/html", PAGE, None, ("text/html", PAGE)),
        ("text/markdown", b"# a", None, ("text/markdown", b"# a")),
        ("image/png", b"\x89PNG", None, ("image/png", b"\x89PNG")),
    ],
)
async def test_what_an_answer_is(
    server: HttpServer, content_type: str, body: bytes, read_as: str | None, kept: tuple[str, bytes]
) -> None:
    """By its Content-Type, or by what the profile says in its place; XML becomes JSON."""
    server.on("/doc", answer(body, content_type))
    fetched = await fetch(server, wanted(read_as=read_as))
    assert (fetched.media_type, fetched.body) == kept
    fetched = await fetch(server, wanted(), read_as=read_as)
    assert (fetched.media_type, fetched.body) == kept


async def test_the_fetch_wins_over_the_upstream(server: HttpServer) -> None:
    """What is said closer to the answer counts."""
    server.on("/doc", answer(b"<a/>", "text/html"))
    assert (await fetch(server, wanted(read_as="xml"), read_as="json")).body == b'{"a":null}'


@pytest.mark.parametrize(
    ("html", "kept"),
    [
        ({"select": "main"}, ("text/markdown", "# Täst\n".encode())),
        ({"drop": ["nav"], "to": "text"}, ("text/plain", "Täst\n".encode())),
        (
            {"select": "h1", "to": "elements"},
            ("application/json", '[{"tag":"h1","attributes":{},"text":"Täst"}]'.encode()),
        ),
    ],
)
async def test_what_becomes_of_a_page(server: HttpServer, html: dict[str, object], kept: tuple[str, bytes]) -> None:
    """Markdown, text or data, in UTF-8, whatever the page was in."""
    server.on("/doc", answer(PAGE.decode().encode("latin-1"), "text/html; charset=latin1"))
    fetched: Fetched = await fetch(server, wanted(html=html))
    assert (fetched.media_type, fetched.body) == kept


@pytest.mark.parametrize(
    ("content_type", "body", "more", "sentence"),
    [
        ("application/xml", b"<a>", {}, "the answer is no XML that can be read: no element found: line 1, column 3"),
        ("text/html", b"", {"html": {}}, "the answer is no HTML that can be read: it has no elements"),
        (
            "text/html",
            PAGE,
            {"html": {"select": "article"}},
            "the answer is no HTML that can be read: it has nothing that html.",
        ),
        (
            "application/json",
            b"{}",
            {"html": {}},
            'the answer is application/json, and html of the fetch expects a page; if it is one, say read_as = "html"',
        ),
        ("text/html", PAGE, {"read_as": "json"}, "the answer said it was JSON but is not: unexpected character"),
        ("application/json", b"[" * 100_000 + b"]" * 100_000, {}, "the answer said it was JSON but is not: "),
        ("application/json", b'{"a": NaN}', {}, "the answer said it was JSON but is not: "),
        ("application/json", b'"\\ud800"', {}, "the answer said it was JSON but is not: "),
        (
            "application/xml",
            b"<a>" * 100_000 + b"</a>" * 100_000,
            {},
            "the answer is no XML that can be read: its elements are more",
        ),
        (
            "text/html",
            b"<div>" * 100_000,
            {"html": {}},
            "the answer is no HTML that can be read: its elements are more than 200",
        ),
    ],
    ids=["xml", "empty", "select", "no page", "no json", "deep json", "nan", "half", "deep xml", "deep html"],
)
async def test_an_answer_that_is_not_what_it_says(
    server: HttpServer, content_type: str, body: bytes, more: dict[str, Any], sentence: str
) -> None:
    """A sentence each; large ones are read in a thread, and the outcome is the same."""
    server.on("/doc", answer(body, content_type))
    assert (await refused(server, UpstreamInvalid, wanted(**more))).startswith(f"api: {sentence}")


@pytest.mark.parametrize("coding", ["zstd", "br", "deflate", "gzip, zstd"])
async def test_codings_that_are_not_asked_for(server: HttpServer, coding: str) -> None:
    """A zstd bomb is never unpacked: only gzip is asked for, and only gzip is taken."""
    import sys

    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    bomb = zstd.compress(b"\0" * 50_000_000)
    assert len(bomb) < 10_000
    server.on("/doc", answer(bomb, headers={"Content-Encoding": coding}))
    sentence = await refused(server, UpstreamInvalid, wanted())
    assert sentence == f"api: the answer's Content-Encoding {coding!r} was not asked for"
    assert server.requests[0].headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize("body", [b"<a>" + b"<b/>" * 12_000_000 + b"</a>", json.dumps(["x"] * 12_000_000).encode()])
async def test_a_bomb_of_markup_in_gzip(server: HttpServer, body: bytes) -> None:
    """It is cut at the limit before anything parses it."""
    server.on("/doc", answer(gzip.compress(body, 1), "application/xml", headers={"Content-Encoding": "gzip"}))
    sentence = await refused(server, UpstreamInvalid, wanted())
    assert sentence == "api: the answer is larger than 16MB (upstreams.api.max_response_size)"


async def test_the_deadline_holds_while_a_page_is_converted(server: HttpServer) -> None:
    """Who waits is not kept by a conversion that takes long; it ends by itself, in its thread."""
    server.on("/doc", answer(b"<p>" + b"<a href=x>x</a>" * 190_000, "text/html"))
    with trio.move_on_after(0.05) as scope:
        await fetch(server, wanted(html={}))
    assert scope.cancelled_caught
