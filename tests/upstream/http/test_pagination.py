from __future__ import annotations

import json
from typing import Any

import pytest
import trio

from gateway.errors import UpstreamInvalid, UpstreamNotFound, UpstreamRejected, UpstreamUnavailable
from gateway.upstream.model import Fetched, Validators
from tests.fakes.http_server import HttpServer, Request, answer, silent
from tests.upstream.http.asking import fetch, refused, wanted


def page(items: Any, link: str = "", **more: str) -> bytes:
    headers = {"Link": link, **more} if link else more
    return answer(json.dumps(items).encode(), headers=headers)


def items(fetched: Fetched) -> Any:
    document = json.loads(fetched.body)
    assert document["truncated"] is False
    assert fetched.media_type == "application/json"
    return document["items"]


LINKED = {"by": "link"}
NUMBERED = {"by": "page"}
CURSORS = {"by": "cursor", "cursor": "next", "parameter": "after", "items": "data"}


async def test_linked_pages(server: HttpServer) -> None:
    """Links are followed wherever on the same origin they lead, and the arrays joined."""
    server.on("/doc?size=2", page([1, 2], '</doc?size=2&page=2>; rel="next"'))
    server.on("/doc?size=2&page=2", page([3], f'<{server.url}/other/3>; rel="next"'))
    server.on("/other/3", page([]))
    assert items(await fetch(server, wanted(query={"size": "2"}, pages=LINKED))) == [1, 2, 3]
    assert server.targets() == ["/doc?size=2", "/doc?size=2&page=2", "/other/3"]


async def test_links_in_the_answer(server: HttpServer) -> None:
    """Where the next address is a member of the page, an expression finds it."""
    server.on("/doc", page({"results": ["a"], "next": f"{server.url}/doc?page=2"}))
    server.on("/doc?page=2", page({"results": ["b"], "next": None}))
    assert items(await fetch(server, wanted(pages={"by": "link", "next": "next", "items": "results"}))) == ["a", "b"]


async def test_cursors(server: HttpServer) -> None:
    """Text and numbers are sent back as one value; null ends it."""
    server.on("/doc", page({"data": [1], "next": "a&b=1"}))
    server.on("/doc?after=a%26b%3D1", page({"data": [], "next": 7}))
    server.on("/doc?after=7", page({"data": [2], "next": None}))
    assert items(await fetch(server, wanted(pages=CURSORS))) == [1, 2]


@pytest.mark.parametrize(
    ("pages", "targets"),
    [
        ({"by": "page"}, ["/doc?page=1", "/doc?page=2", "/doc?page=3"]),
        ({"by": "page", "size": 2}, ["/doc?page=1", "/doc?page=2"]),
        (
            {"by": "page", "parameter": "offset", "start": 0, "step": 2},
            ["/doc?offset=0", "/doc?offset=2", "/doc?offset=4"],
        ),
    ],
)
async def test_numbered_pages(server: HttpServer, pages: dict[str, Any], targets: list[str]) -> None:
    """The first page without items is the end, or one that is not full, where the profile says what full is."""
    for target, found in zip(targets, ([1, 2], [3], []), strict=False):
        server.on(target, page(found))
    assert items(await fetch(server, wanted(pages=pages))) == [1, 2, 3]
    assert server.targets() == targets


async def test_a_parameter_of_the_query_gives_way(server: HttpServer) -> None:
    """The page takes the place of a parameter of the same name."""
    server.on("/doc?q=x&page=1", page([]))
    assert items(await fetch(server, wanted(query={"page": "9", "q": "x"}, pages=NUMBERED))) == []


async def test_credentials_go_with_every_page(server: HttpServer) -> None:
    """Each page is one request of this upstream, with its method, headers and body."""
    server.on("/doc", page([1], "</doc2>; rel=next"))
    server.on("/doc2", page([2]))
    what = wanted(method="POST", body={"q": 1}, idempotent=True, pages=LINKED)
    await fetch(server, what, headers={"X-Key": "canary"})
    assert [(r.method, r.body, r.headers["x-key"]) for r in server.requests] == [("POST", b'{"q":1}', "canary")] * 2


async def test_another_host_is_not_asked(server: HttpServer) -> None:
    """The whole fails, and no credential leaves."""
    server.on("/doc", page([1], f"<http://localhost:{server.port}/doc2>; rel=next"))
    sentence = await refused(server, UpstreamRejected, wanted(pages=LINKED), headers={"X-Key": "canary"})
    assert (
        sentence == f"api: its next page is elsewhere, at http://localhost:{server.port}/doc2; nothing was sent there"
    )
    assert len(server.requests) == 1


async def test_more_pages_than_may_be_asked_for(server: HttpServer) -> None:
    """It is never silent: an error, or a document that says so where the profile takes that."""
    server.on("/doc?page=1", page([1]))
    server.on("/doc?page=2", page([2]))
    pages = {"by": "page", "max": 2}
    assert await refused(server, UpstreamInvalid, wanted(pages=pages)) == (
        "api: the answer has more than 2 pages (pages.max of the fetch); truncate = true takes these"
    )
    fetched = await fetch(server, wanted(pages={**pages, "truncate": True}))
    assert json.loads(fetched.body) == {"items": [1, 2], "truncated": True}
    assert server.targets() == ["/doc?page=1", "/doc?page=2"] * 2


@pytest.mark.parametrize(
    ("kind", "script", "sentence"),
    [
        (
            UpstreamUnavailable,
            answer(status="503 Service Unavailable"),
            "answered 503 Service Unavailable for http://host/2",
        ),
        (UpstreamNotFound, answer(status="404 Not Found"), "answered 404 Not Found for http://host/2"),
        (
            UpstreamInvalid,
            answer(b"<p>", "text/html"),
            "page 2 of the answer is text/html, where items are looked for in JSON",
        ),
        (UpstreamInvalid, answer(b"{}"), "page 2 of the answer has no array where pages.items looks for it"),
        (UpstreamInvalid, page([2], "</doc>; rel=next"), "page 2 of the answer leads back to one that was read before"),
        (
            UpstreamInvalid,
            page([2], "</2#again>; rel=next"),
            "page 2 of the answer leads back to one that was read before",
        ),
        (
            UpstreamInvalid,
            page(["x" * 600]),
            "the answer of 2 pages is larger than 1KB (upstreams.api.max_response_size)",
        ),
    ],
)
async def test_a_page_that_fails_fails_the_whole(
    server: HttpServer, kind: type[UpstreamUnavailable], script: bytes, sentence: str
) -> None:
    """There is no half answer."""
    server.on("/doc", page(["x" * 600], "</2>; rel=next"))
    server.on("/2", script)
    assert await refused(server, kind, wanted(pages=LINKED), max_response_size="1KB") == f"api: {sentence}"


async def test_a_cursor_that_comes_again(server: HttpServer) -> None:
    """A loop is noticed."""
    server.on("/doc", page({"data": [1], "next": "a"}))
    server.on("/doc?after=a", page({"data": [1], "next": "a"}))
    sentence = await refused(server, UpstreamInvalid, wanted(pages=CURSORS))
    assert sentence == "api: page 2 of the answer leads back to one that was read before"


@pytest.mark.parametrize("cursor", [{"a": 1}, ["a"], True, 1.5])
async def test_a_cursor_that_is_none(server: HttpServer, cursor: object) -> None:
    """What can't be sent back is the upstream's fault."""
    server.on("/doc", page({"data": [1], "next": cursor}))
    sentence = await refused(server, UpstreamInvalid, wanted(pages=CURSORS))
    assert sentence == "api: page 1 of the answer has neither text nor a whole number where pages.cursor looks for it"


async def test_an_upstream_that_knows_no_pages(server: HttpServer) -> None:
    """It answers every number with the same, which is noticed at the second."""
    for number in (1, 2, 3):
        server.on(f"/doc?page={number}", page([1, 2]))
    sentence = await refused(server, UpstreamInvalid, wanted(pages=NUMBERED))
    assert sentence == "api: page 2 of the answer is the same as the one before: the upstream ignores page"


async def test_one_deadline_for_all_pages(server: HttpServer) -> None:
    """The pages together take no longer than one document may."""
    server.on("/doc", page([1], "</2>; rel=next"))
    server.on("/2", silent)
    sentence = await refused(server, UpstreamUnavailable, wanted(pages=LINKED), timeout="200ms")
    assert sentence == "api: no answer within 200ms (upstreams.api.timeout): it was still reading page 2"


async def test_freshness_of_the_whole(server: HttpServer) -> None:
    """The least that any page says; and no validators, since those of one page say nothing about the others."""
    more = {"ETag": '"1"', "Cache-Control": "max-age=60, stale-if-error=9"}
    server.on("/doc", answer(b"[1]", headers={**more, "Link": "</2>; rel=next"}))
    server.on("/2", answer(b"[2]", headers={"Cache-Control": "max-age=10, private"}))
    fetched = await fetch(server, wanted(pages=LINKED), Validators('"1"'))
    assert fetched.validators == Validators()
    directives = fetched.directives
    assert (directives.max_age, directives.private, directives.no_store) == (10, True, False)
    assert directives.stale_if_error == 9
    assert "if-none-match" not in server.requests[0].headers


async def test_cancelling_between_pages(server: HttpServer) -> None:
    """Nothing more is asked for, and the connection is closed."""
    arrived = trio.Event()

    async def slow(_request: Request, _stream: trio.SocketStream) -> None:
        arrived.set()
        await trio.sleep_forever()

    server.on("/doc", page([1], "</2>; rel=next"))
    server.on("/2", slow)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fetch, server, wanted(pages=LINKED))
        await arrived.wait()
        nursery.cancel_scope.cancel()
    with trio.fail_after(5):
        await server.closed.wait()
    assert server.targets() == ["/doc", "/2"]


async def test_xml_pages(server: HttpServer) -> None:
    """A page is read as any answer is."""
    server.on("/doc?page=1", answer(b"<r><i>1</i><i>2</i></r>", "application/xml"))
    server.on("/doc?page=2", answer(b"<r><i/></r>", "application/xml"))
    pages = {"by": "page", "items": "r.i[*] || `[]`"}
    assert items(await fetch(server, wanted(pages=pages))) == ["1", "2"]
