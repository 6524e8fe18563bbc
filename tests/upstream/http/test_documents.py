from __future__ import annotations

import json
from typing import Any

import pytest
import trio

from gateway.errors import UpstreamError, UpstreamInvalid, UpstreamNotFound, UpstreamRejected
from gateway.upstream.model import Fetched, Validators, Wanted
from tests.fakes.http_server import HttpServer, answer
from tests.upstream.http import asking
from tests.upstream.http.asking import opened

LISTING = Wanted("", listing=True)


BASE = "/docs@{version}"


async def fetch(server: HttpServer, wanted: Wanted, validators: Validators | None = None, **more: Any) -> Fetched:
    return await asking.fetch(server, wanted, validators, BASE, **more)


async def test_a_document_of_a_release(server: HttpServer) -> None:
    """The version fills the base address, and the answer is kept with its type and validators."""
    server.on("/docs@3.20.6/button.md", answer("# Bütton".encode("latin-1"), "text/markdown; charset=latin-1"))
    got = await fetch(server, Wanted("button.md", "3.20.6"))
    assert got == Fetched("# Bütton".encode(), "text/markdown")


async def test_query_and_headers(server: HttpServer) -> None:
    """Values stay values; a fetch's header takes the place of the profile's."""
    target = "/docs@1.0.0/search?q=x%26admin%3D1&r=x%23y"
    server.on(target, answer(b"[]"))
    query = (("q", "x&admin=1"), ("r", "x#y"))
    wanted = Wanted("search", "1.0.0", query, (("accept-language", "de"),))
    got = await fetch(server, wanted, headers={"Accept-Language": "en", "X-Key": "canary"})
    assert got.body == b"[]"
    assert server.targets() == [target]
    assert server.requests[0].headers["accept-language"] == "de"
    assert server.requests[0].headers["x-key"] == "canary"


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted("../admin", "1.0.0"),
        Wanted("%2e%2e/admin", "1.0.0"),
        Wanted("//other.example/x", "1.0.0"),
        Wanted("a\\..\\b", "1.0.0"),
        Wanted("x", "1.0.0", headers=(("X-Name", "a\r\nX-Admin: 1"),)),
        Wanted("x", "1.0.0", headers=(("Host", "other.example"),)),
        Wanted("x", "1.0.0", headers=(("X Name", "a"),)),
        Wanted("x", None),
    ],
)
async def test_what_is_not_sent(server: HttpServer, wanted: Wanted) -> None:
    """Refused before a connection is made."""
    with pytest.raises(UpstreamRejected):
        await fetch(server, wanted)
    assert server.connections == 0


async def test_a_secret_header_is_in_no_sentence(server: HttpServer) -> None:
    """A credential that is not well-formed, and one that the upstream does not like."""
    server.on("/docs@1.0.0/x", answer(status="401 Unauthorized"))
    for value in ("canary\n", "canary"):
        with pytest.raises(UpstreamRejected) as refused:
            await fetch(server, Wanted("x", "1.0.0"), headers={"Authorization": value})
        assert "canary" not in f"{refused.value} {refused.value.__cause__} {refused.value.__context__}"


async def test_revalidation(server: HttpServer) -> None:
    """304: the old answer and its validators hold."""
    server.on("/docs@1.0.0/x", answer(status="304 Not Modified", content_type=""))
    validators = Validators('"1"', "Mon, 02 Nov 2026 10:00:00 GMT")
    assert await fetch(server, Wanted("x", "1.0.0"), validators) == Fetched(
        b"", validators=validators, not_modified=True
    )


async def test_a_body_that_is_not_what_it_says(server: HttpServer) -> None:
    """An error page that is served as JSON is no document."""
    server.on("/docs@1.0.0/x", answer(b"<h1>Oops</h1>"))
    with pytest.raises(UpstreamInvalid, match=r"^api: the answer said it was JSON but is not: unexpected character"):
        await fetch(server, Wanted("x", "1.0.0"))


async def test_cancelling_abandons_the_request(server: HttpServer) -> None:
    """The connection is closed when the caller goes away."""
    arrived = trio.Event()

    async def slow(_request: object, _stream: trio.SocketStream) -> None:
        arrived.set()
        await trio.sleep_forever()

    server.on("/docs@1.0.0/x", slow)
    async with opened(server, BASE) as upstream, trio.open_nursery() as nursery:
        nursery.start_soon(upstream.fetch, Wanted("x", "1.0.0"))
        await arrived.wait()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True), trio.fail_after(5):
            await server.closed.wait()


# Releases.

VERSIONS = {"select": "versions[].version", "tags": "tags"}
DOCUMENT = {"tags": {"latest": "3.20.6"}, "versions": [{"version": "3.1.0"}, {"version": "3.20.6"}]}


async def test_releases(server: HttpServer) -> None:
    """The listing is a document like others; `select` and `tags` find the releases in it."""
    server.on("/list", answer(json.dumps(DOCUMENT).encode(), "text/plain", headers={"ETag": '"1"'}))
    versions = {"url": f"{server.url}/list", **VERSIONS}
    async with opened(server, BASE, versions=versions, headers={"X-Key": "1"}) as upstream:
        listing = await upstream.fetch(LISTING)
        assert (listing.media_type, listing.validators.etag) == ("application/json", '"1"')
        releases = upstream.releases(listing.body)
        assert releases.resolve("3.1") == "3.1.0"
        assert releases.resolve("latest") == "3.20.6"
        assert upstream.releases(bytes(bytearray(listing.body))) is releases
    assert server.requests[0].headers["x-key"] == "1"


async def test_credentials_are_not_sent_to_another_host(server: HttpServer) -> None:
    """The list of releases may be elsewhere; the profile's headers are for base_url."""
    server.on("/list", answer(json.dumps(DOCUMENT).encode()))
    versions = {"url": f"http://localhost:{server.port}/list", **VERSIONS}
    await fetch(server, LISTING, versions=versions, headers={"Authorization": "canary"})
    assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"<p>", "the list of releases said it was JSON but is not: unexpected character"),
        (b"{}", "the list of releases has no array of names where upstreams.api.versions.select looks for it"),
        (
            b'{"versions": [{"version": 1}]}',
            "the list of releases has no array of names where upstreams.api.versions.select looks for it",
        ),
        (
            b'{"versions": [], "tags": []}',
            "the list of releases has no object of tags where upstreams.api.versions.tags looks for it",
        ),
    ],
)
async def test_a_listing_that_can_not_be_used(server: HttpServer, body: bytes, sentence: str) -> None:
    """It is refused when it is fetched, so it is not cached."""
    server.on("/list", answer(body))
    with pytest.raises(UpstreamInvalid) as raised:
        await fetch(server, LISTING, versions={"url": f"{server.url}/list", **VERSIONS})
    assert str(raised.value).startswith(f"api: {sentence}")


async def test_an_expression_that_fails_on_the_listing(server: HttpServer) -> None:
    """A function that is given the wrong type is the listing's fault as well."""
    server.on("/list", answer(b'{"versions": 1}'))
    with pytest.raises(UpstreamInvalid, match=r"^api: the list of releases can't be read: "):
        await fetch(server, LISTING, versions={"url": f"{server.url}/list", "select": "keys(versions)"})


async def test_an_upstream_without_releases(server: HttpServer) -> None:
    """The sentence names the key that is missing."""
    sentence = r"^api: the profile does not say where its releases are listed \(upstreams\.api\.versions\)$"
    with pytest.raises(UpstreamNotFound, match=sentence):
        await fetch(server, LISTING)


async def test_identity(server: HttpServer) -> None:
    """It changes with whatever changes which document is meant, and not with a credential."""

    async def identity(base: str = "/a", **more: Any) -> str:
        async with opened(server, base, **more) as upstream:
            return upstream.identity

    same = await identity()
    assert same == await identity(timeout="1s", max_concurrent=1)
    others = [
        await identity("/b"),
        await identity(headers={"Accept": "text/html"}),
        await identity(headers={"Accept": "application/json"}),
        await identity(headers={"Authorization": "one"}),
        await identity(versions={"url": "https://example.org/list", **VERSIONS}),
    ]
    assert len({same, *others}) == 6
    assert await identity(headers={"Authorization": "one"}) == await identity(headers={"authorization": "two"})


async def test_every_failure_is_an_upstream_error(server: HttpServer) -> None:
    """What the catalogue is told carries the upstream's name."""
    with pytest.raises(UpstreamError) as raised:
        await fetch(server, Wanted("missing", "1.0.0"))
    assert raised.value.upstream == "api"
    assert str(raised.value) == f"api: answered 404 Not Found for {server.url}/docs@1.0.0/missing"


# Methods.


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_content(server: HttpServer, method: str) -> None:
    """Method, body and its type are sent as they were wanted, and no condition with them."""
    server.on("/docs@1.0.0/x", answer(b'{"ok": true}', headers={"ETag": '"1"'}))
    what = Wanted("x", "1.0.0", headers=(("Content-Type", "application/json"),), method=method, body=b'{"a":1}')
    got = await fetch(server, what, Validators('"0"'))
    assert got == Fetched(b'{"ok": true}', "application/json")
    (request,) = server.requests
    assert (request.method, request.body, request.headers["content-type"]) == (method, b'{"a":1}', "application/json")
    assert "if-none-match" not in request.headers


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "202 Accepted", "204 No Content"])
async def test_an_answer_without_content(server: HttpServer, status: str) -> None:
    """What was done without a word is an empty object; a document that was asked for is never that."""
    server.on("/docs@1.0.0/x", answer(b"", "", status=status))
    assert (await fetch(server, Wanted("x", "1.0.0", method="DELETE"))).body == b"{}"
    if status != "200 OK":
        with pytest.raises(UpstreamInvalid, match="where a whole document was expected"):
            await fetch(server, Wanted("x", "1.0.0"))


@pytest.mark.parametrize(
    ("method", "idempotent", "tries"),
    [
        ("POST", None, 1),
        ("PATCH", None, 1),
        ("PUT", None, 2),
        ("DELETE", None, 2),
        ("POST", True, 2),
        ("PUT", False, 1),
    ],
)
async def test_what_may_be_sent_again(server: HttpServer, method: str, idempotent: bool | None, tries: int) -> None:
    """What RFC 9110 calls idempotent, or the profile does: what else failed may have been done."""
    server.on("/docs@1.0.0/x", answer(status="503 Service Unavailable"), answer(b"{}"))
    what = Wanted("x", "1.0.0", method=method, idempotent=idempotent)
    if tries == 1:
        with pytest.raises(UpstreamError):
            await fetch(server, what, retries=3)
    else:
        await fetch(server, what, retries=3)
    assert len(server.requests) == tries
