"""The client against real sockets: every fault that a server can have, and the sentence that it becomes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gateway import __version__
from gateway.errors import (
    UpstreamError,
    UpstreamInvalid,
    UpstreamNotAsked,
    UpstreamNotFound,
    UpstreamRejected,
    UpstreamUnavailable,
)
from gateway.upstream.client import Answer, Client, Outgoing, open_client
from gateway.upstream.model import Validators
from tests.fakes.http_server import HttpServer, answer, cut_off, reset, silent, then_silent
from tests.upstream.asking import failure, get, section


async def test_a_document_arrives_as_it_was_sent(server: HttpServer) -> None:
    """Body, type and validators; the request says truthfully who asks and what it can read."""
    headers = {"ETag": '"1"', "Last-Modified": "Mon, 02 Nov 2026 10:00:00 GMT"}
    server.on("/doc", answer(b'{"a": 1}', headers=headers))
    got = await get(server)
    assert got == Answer(b'{"a": 1}', "application/json", Validators('"1"', "Mon, 02 Nov 2026 10:00:00 GMT"))
    sent = server.requests[0].headers
    assert sent["user-agent"] == f"gateway/{__version__}"
    assert sent["accept-encoding"] == "gzip"
    assert sent["host"] == f"127.0.0.1:{server.port}"


async def test_a_connection_is_kept_for_the_next_request(server: HttpServer) -> None:
    """Two requests, one connection."""
    server.on("/doc", answer(b"{}"))
    async with open_client("api", section()) as client:
        for _ in range(2):
            await client.get(httpx2.URL(f"{server.url}/doc"))
        assert server.connections == 1
    await server.closed.wait()


async def test_an_idle_connection_is_not_kept_where_the_profile_says_so(server: HttpServer) -> None:
    """`pool.max_keepalive = 0`: every request has its own connection."""
    server.on("/doc", answer(b"{}"))
    async with open_client("api", section(pool={"max_keepalive": 0})) as client:
        for _ in range(2):
            await client.get(httpx2.URL(f"{server.url}/doc"))
    assert server.connections == 2


async def test_proxies_netrc_and_cookies_are_ignored(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing but the profile decides where a request goes and what it carries."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login canary password canary\n")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://proxy.example:1")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    server.on("/doc", answer(b"{}", headers={"Set-Cookie": "a=canary; Path=/"}))
    async with open_client("api", section()) as client:
        for _ in range(2):
            await client.get(httpx2.URL(f"{server.url}/doc"))
    assert all({"authorization", "cookie"}.isdisjoint(request.headers) for request in server.requests)
    assert "canary" not in str(server.requests)


# Other methods.


async def test_a_request_with_a_body(server: HttpServer) -> None:
    """Method, headers and body arrive as they were given; status, headers and body of the answer come back."""
    created = answer(b'{"id": 7}', status="201 Created", headers={"Location": "/docs/7", "Link": "<a>", "X-Next": "b"})
    server.on("/docs", created)
    body = '{"name": "Bütton"}'.encode()
    async with open_client("api", section()) as client:
        request = Outgoing("POST", httpx2.URL(f"{server.url}/docs"), [("Content-Type", "application/json")], body)
        got = await client.send(request)
    assert (got.status, got.body) == (201, b'{"id": 7}')
    assert dict(got.headers)["location"] == "/docs/7"
    (sent,) = server.requests
    assert (sent.method, sent.body, sent.headers["content-type"]) == ("POST", body, "application/json")


@pytest.mark.parametrize("head", ["204 No Content", "205 Reset Content\r\nContent-Length: 0"])
async def test_an_answer_without_a_body(server: HttpServer, head: str) -> None:
    """The success is the answer; the connection is fit for the next request."""
    server.on("/docs/7", f"HTTP/1.1 {head}\r\n\r\n".encode())
    async with open_client("api", section()) as client:
        for _ in range(2):
            got = await client.send(Outgoing("DELETE", httpx2.URL(f"{server.url}/docs/7")))
            assert (got.status, got.body) == (int(head[:3]), b"")
    assert server.connections == 1


async def test_the_answer_to_head_has_no_body(server: HttpServer) -> None:
    """The size that it declares is the document's, and may be beyond the bound."""
    server.on("/doc", b'HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\nETag: "1"\r\n\r\n')
    async with open_client("api", section()) as client:
        got = await client.send(Outgoing("HEAD", httpx2.URL(f"{server.url}/doc")))
    assert (got.body, got.validators.etag) == (b"", '"1"')


@pytest.mark.parametrize(
    ("method", "idempotent", "sent"), [("POST", None, 1), ("POST", True, 2), ("PUT", None, 2), ("PUT", False, 1)]
)
async def test_only_what_is_idempotent_is_sent_again(
    server: HttpServer, method: str, idempotent: bool | None, sent: int
) -> None:
    """The method decides, unless the caller knows better."""
    server.on("/doc", answer(status="503 Busy"))
    async with open_client("api", section(retries=1)) as client:
        with pytest.raises(UpstreamUnavailable):
            await client.send(Outgoing(method, httpx2.URL(f"{server.url}/doc"), body=b"x"), idempotent=idempotent)
    assert [request.body for request in server.requests] == [b"x"] * sent


def test_a_request_does_not_show_its_secrets() -> None:
    """Headers and body are in no representation."""
    assert "canary" not in repr(Outgoing("POST", httpx2.URL("http://h/"), [("X-Key", "canary")], b"canary"))


# Status codes.


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("404 Not Found", UpstreamNotFound),
        ("410 Gone", UpstreamNotFound),
        ("400 Bad Request", UpstreamRejected),
        ("401 Unauthorized", UpstreamRejected),
        ("403 Forbidden", UpstreamRejected),
        ("429 Too Many Requests", UpstreamUnavailable),
        ("500 Internal Server Error", UpstreamUnavailable),
        ("503 Service Unavailable", UpstreamUnavailable),
    ],
)
async def test_statuses(server: HttpServer, status: str, kind: type[UpstreamError]) -> None:
    """Each status is the error that says whether asking again helps; an address is shown without its query."""
    server.on("/doc?key=canary", answer(b"<h1>no</h1>", "text/html", status=status))
    with pytest.raises(kind) as raised:
        await get(server, "/doc?key=canary")
    assert str(raised.value) == f"api: answered {status} for {server.url}/doc"


async def test_part_of_a_document_or_none_is_not_a_document(server: HttpServer) -> None:
    """Other successes than 200 bring no document; a part is no answer at all."""
    server.on("/doc", answer(b"{}", status="206 Partial Content"))
    wanted = "api: answered 206 Partial Content for http://host/doc, where a whole document was expected"
    assert await failure(server, UpstreamInvalid) == wanted
    server.on("/doc", b"HTTP/1.1 204 No Content\r\n\r\n")
    wanted = "api: answered 204 No Content for http://host/doc, where a whole document was expected"
    assert await failure(server, UpstreamInvalid) == wanted
    server.on("/doc", answer(b"{}", status="206 Partial Content"))
    async with open_client("api", section()) as client:
        with pytest.raises(UpstreamInvalid, match="answered 206 Partial Content"):
            await client.send(Outgoing("POST", httpx2.URL(f"{server.url}/doc")))


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("http://169.254.169.254/latest/?token=canary", "http://169.254.169.254/latest/"),
        ("https://127.0.0.1/doc", "https://127.0.0.1/doc"),
        ("//other.example/doc", "//other.example/doc".replace("//", "://", 1)),
        ("/doc", "/doc"),
        ("http://user:canary@other.example/", "http://other.example/"),
        ("file:///etc/passwd", "/etc/passwd"),
    ],
)
async def test_redirects_are_not_followed(server: HttpServer, location: str, shown: str) -> None:
    """To another host, another scheme or itself: one request is sent, and the sentence says where it pointed."""
    server.on("/doc", answer(status="302 Found", headers={"Location": location}))
    wanted = f"api: answered 302 Found for http://host/doc with a redirect to {shown}, which is not followed"
    assert await failure(server, UpstreamRejected, retries=3) == wanted
    assert len(server.requests) == 1


async def test_not_modified(server: HttpServer) -> None:
    """The validators make the request conditional; 304 is then an answer."""
    server.on("/doc", answer(status="304 Not Modified", content_type="", headers={"ETag": '"1"'}))
    got = await get(server, validators=Validators('"1"', "Mon, 02 Nov 2026 10:00:00 GMT"))
    assert got.not_modified
    assert server.requests[0].headers["if-none-match"] == '"1"'
    assert server.requests[0].headers["if-modified-since"] == "Mon, 02 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize("validators", [None, Validators()])
async def test_not_modified_without_a_condition_is_invalid(server: HttpServer, validators: Validators | None) -> None:
    """A 304 that nobody asked for leaves the gateway without a document."""
    server.on("/doc", answer(status="304 Not Modified", content_type=""))
    with pytest.raises(UpstreamInvalid, match=r"answered 304 Not Modified for .*, where a whole document was expected"):
        await get(server, validators=validators)


async def test_no_answer_within_the_timeout(server: HttpServer) -> None:
    """The sentence says the limit, the key, and what was still being done."""
    server.on("/doc", silent)
    wanted = "api: no answer within 200ms (upstreams.api.timeout): it was still waiting for the upstream"
    assert await failure(server, UpstreamUnavailable, timeout="200ms") == wanted


async def test_a_slow_drip_does_not_outlast_the_timeout(server: HttpServer) -> None:
    """Each byte ends a silence, but the deadline is about the whole."""

    async def drip(_request: Any, stream: trio.SocketStream) -> None:
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            await stream.send_all(b"x")
            await trio.sleep(0.01)

    server.on("/doc", drip)
    wanted = "api: no answer within 500ms (upstreams.api.timeout): it was still reading the answer"
    assert await failure(server, UpstreamUnavailable, timeout="500ms") == wanted


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"])
async def test_a_silence_is_cut(server: HttpServer, head: bytes) -> None:
    """`pool.idle_timeout` bounds the silence before and in an answer."""
    server.on("/doc", then_silent(head))
    wanted = "api: http://host/doc was silent for 50ms (upstreams.api.pool.idle_timeout)"
    assert await failure(server, UpstreamUnavailable, pool={"idle_timeout": "50ms"}) == wanted


async def test_failures_are_tried_again(server: HttpServer) -> None:
    """A reset, a 500 and a truncated body, then the document."""
    server.on("/doc", reset, answer(status="500 Oops"), cut_off(answer(b"{} ")[:-1]), answer(b"{}"))
    assert (await get(server, retries=3)).body == b"{}"
    assert len(server.requests) == 4


@pytest.mark.parametrize("status", ["404 Not Found", "403 Forbidden", "302 Found"])
async def test_what_will_not_pass_is_not_tried_again(server: HttpServer, status: str) -> None:
    """One request."""
    server.on("/doc", answer(status=status))
    with pytest.raises(UpstreamError):
        await get(server, retries=3)
    assert len(server.requests) == 1


async def test_retry_after_beyond_the_deadline_is_an_answer(server: HttpServer) -> None:
    """The upstream's wish is told on instead of slept."""
    server.on("/doc", answer(status="429 Too Many Requests", headers={"Retry-After": "3600"}))
    wanted = "api: answered 429 Too Many Requests for http://host/doc, and to ask again in 1h"
    assert await failure(server, UpstreamUnavailable, retries=3) == wanted
    assert len(server.requests) == 1


@pytest.mark.parametrize("wish", ["0", "-1", "soon", "9" * 30, "Mon, 02 Nov 2015 10:00:00 GMT"])
async def test_a_useless_retry_after_changes_nothing(server: HttpServer, wish: str) -> None:
    """Only whole seconds and a date to come are taken for a wish."""
    server.on("/doc", answer(status="503 Busy", headers={"Retry-After": wish}), answer(b"{}"))
    assert (await get(server, retries=1)).body == b"{}"


async def test_no_more_than_max_concurrent_are_under_way(server: HttpServer) -> None:
    """The others wait until one is done."""
    now = most = 0
    gate = trio.Event()

    async def counted(_request: Any, stream: trio.SocketStream) -> None:
        nonlocal now, most
        now += 1
        most = max(now, most)
        if now == 2:
            gate.set()
        await gate.wait()
        now -= 1
        await stream.send_all(answer(b"{}"))

    server.on("/doc", counted)
    async with open_client("api", section(max_concurrent=2)) as client, trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(client.get, httpx2.URL(f"{server.url}/doc"))
    assert most == 2
    assert len(server.requests) == 6


async def test_waiting_for_a_slot_counts_towards_the_timeout(server: HttpServer, mock_clock: MockClock) -> None:
    """The sentence names the limit that held the request up: the smaller one of requests and connections."""
    server.on("/doc", silent)
    failures: list[str] = []

    async def ask(client: Client) -> None:
        with pytest.raises(UpstreamUnavailable) as raised:
            await client.get(httpx2.URL(f"{server.url}/doc"))
        failures.append(str(raised.value).rpartition(": ")[2])

    for limits in ({"max_concurrent": 1}, {"pool": {"max_connections": 1}}):
        async with open_client("api", section(timeout="30s", **limits)) as client, trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(ask, client)
            await wait_all_tasks_blocked(0.0)
            mock_clock.jump(30)
    assert sorted(failures) == [
        "it was still waiting for its turn (upstreams.api.max_concurrent)",
        "it was still waiting for its turn (upstreams.api.pool.max_connections)",
        "it was still waiting for the upstream",
        "it was still waiting for the upstream",
    ]


async def test_the_rate_limit_refuses_what_would_come_too_late(server: HttpServer) -> None:
    """One token an hour: the second request is not sent, and says so."""
    server.on("/doc", answer(b"{}"))
    async with open_client("api", section(rate_limit={"max": 1, "window": "1h"})) as client:
        await client.get(httpx2.URL(f"{server.url}/doc"))
        with pytest.raises(UpstreamNotAsked, match=r"its next turn would be in .*, which is too late \("):
            await client.get(httpx2.URL(f"{server.url}/doc"))
    assert len(server.requests) == 1


async def test_every_try_counts_for_the_rate_limit(server: HttpServer) -> None:
    """With two tokens there is no third try, and the failure is told."""
    server.on("/doc", answer(status="500 Oops"))
    limits = {"retries": 5, "retry_delay": "0s", "rate_limit": {"max": 2, "window": "1h"}}
    assert "answered 500" in await failure(server, UpstreamUnavailable, **limits)
    assert len(server.requests) == 2


async def test_a_try_that_takes_long_is_tried_again(server: HttpServer) -> None:
    """`try_timeout` ends the first try, within `timeout`; when the tries are used up, the sentence names it."""
    server.on("/doc", silent, answer(b"{}"))
    assert (await get(server, try_timeout="200ms", retries=1)).body == b"{}"
    server.on("/doc", silent)
    wanted = "api: no answer within 50ms (upstreams.api.try_timeout): it was still waiting for the upstream"
    assert await failure(server, UpstreamUnavailable, try_timeout="50ms", retries=1) == wanted
    server.on("/doc", then_silent(answer(b"{} ")[:-1]))
    wanted = "api: no answer within 50ms (upstreams.api.try_timeout): it was still reading the answer"
    assert await failure(server, UpstreamUnavailable, try_timeout="50ms") == wanted


async def test_a_failing_upstream_is_left_alone(server: HttpServer) -> None:
    """After five failures in a row nothing is sent for a while; the sentence says why, for how long, and the key."""
    server.on("/doc", answer(status="503 Busy"))
    async with open_client("api", section()) as client:
        for _ in range(5):
            with pytest.raises(UpstreamUnavailable):
                await client.get(httpx2.URL(f"{server.url}/doc"))
        with pytest.raises(UpstreamNotAsked) as refused:
            await client.get(httpx2.URL(f"{server.url}/doc"))
    assert str(refused.value).replace(server.url, "http://host") == (
        "api: not asked for 5s more, since 5 requests in a row failed (upstreams.api.breaker.failures), "
        "the last: answered 503 Service Unavailable for http://host/doc"
    )
    assert len(server.requests) == 5


async def test_a_host_that_is_not_there_is_left_alone(unused_url: str) -> None:
    """Connections that are refused count as failures."""
    async with open_client("api", section(breaker={"failures": 2})) as client:
        for _ in range(2):
            with pytest.raises(UpstreamUnavailable, match="Connection refused"):
                await client.get(httpx2.URL(f"{unused_url}/doc"))
        with pytest.raises(UpstreamNotAsked, match=r"the last: no connection to .*: Connection refused$"):
            await client.get(httpx2.URL(f"{unused_url}/doc"))


async def test_every_host_has_a_pool_of_its_own(server: HttpServer) -> None:
    """`pool.max_keepalive = 1` keeps one connection to each of two hosts."""
    server.on("/doc", answer(b"{}"))
    async with open_client("api", section(pool={"max_keepalive": 1})) as client:
        for _ in range(3):
            for host in ("127.0.0.1", "localhost"):
                await client.get(httpx2.URL(f"http://{host}:{server.port}/doc"))
    assert server.connections == 2


async def test_cancelling_closes_the_connection_and_frees_the_slot(server: HttpServer) -> None:
    """A caller that goes away leaves the client as it was."""
    server.on("/doc", silent, answer(b"{}"))
    async with open_client("api", section(max_concurrent=1)) as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.get, httpx2.URL(f"{server.url}/doc"))
            while not server.requests:
                await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        with trio.fail_after(5):
            await server.closed.wait()
            assert (await client.get(httpx2.URL(f"{server.url}/doc"))).body == b"{}"


async def test_deadline_on_the_virtual_clock(autojump_clock: MockClock) -> None:
    """The timeout is Trio's time: half an hour passes at once."""
    never = trio.Event()

    async def unresolved(_host: str, _port: int) -> list[str]:
        await never.wait()
        return []

    async with open_client("api", section(timeout="30m"), resolve=unresolved) as client:
        with pytest.raises(UpstreamUnavailable, match=r"^api: no answer within 30m \(upstreams\.api\.timeout\)"):
            await client.get(httpx2.URL("http://slow.example/doc"))
