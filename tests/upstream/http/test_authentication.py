from __future__ import annotations

import base64
import json
import logging
from typing import Any

import pytest
import trio
import trio.testing

from gateway.errors import UpstreamError, UpstreamInvalid, UpstreamRejected, UpstreamUnavailable
from gateway.upstream.http.authentication import ClientCredentials
from tests.fakes.http_server import HttpServer, Request, answer, silent
from tests.upstream.http.asking import fetch, opened, refused, section, wanted

OK = answer(b"{}")
UNAUTHORIZED = answer(status="401 Unauthorized", headers={"WWW-Authenticate": "Bearer"})


async def last(stream: trio.SocketStream, script: bytes) -> None:
    """Answer, and let the client close the connection."""
    await stream.send_all(script.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
    await trio.sleep_forever()


@pytest.mark.parametrize(
    ("auth", "name", "value"),
    [
        ({"type": "bearer", "token": "abc"}, "authorization", "Bearer abc"),
        (
            {"type": "basic", "username": "Ödön", "password": "p:w"},
            "authorization",
            f"Basic {base64.b64encode('Ödön:p:w'.encode()).decode()}",
        ),
        ({"type": "header", "name": "X-Api-Key", "value": "abc"}, "x-api-key", "abc"),
    ],
)
async def test_fixed_credentials(server: HttpServer, auth: dict[str, str], name: str, value: str) -> None:
    """They go with every request, and take the place of what a fetch says."""
    server.on("/doc", OK)
    await fetch(server, wanted(headers={name: "other"}), auth=auth)
    assert server.requests[0].headers[name] == value


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
async def test_a_fixed_credential_that_is_refused(server: HttpServer, status: str) -> None:
    """There is no other one: it is asked once, and the sentence holds no secret."""
    server.on("/doc", answer(status=status))
    sentence = await refused(server, UpstreamRejected, wanted(), auth={"type": "bearer", "token": "canary"})
    assert sentence == f"api: answered {status} for http://host/doc"
    assert len(server.requests) == 1


async def test_a_credential_that_is_no_header(server: HttpServer) -> None:
    """A line break in it is refused, without repeating it."""
    sentence = await refused(server, UpstreamRejected, wanted(), auth={"type": "bearer", "token": "canary\nX-A: 1"})
    assert "canary" not in sentence
    assert server.connections == 0


async def test_credentials_stay_with_the_origin(server: HttpServer) -> None:
    """A list of releases on another host is asked for without them."""
    from gateway.upstream.model import Wanted

    server.on("/list", answer(b"[]"))
    versions = {"url": f"http://localhost:{server.port}/list", "select": "@"}
    await fetch(server, Wanted("", listing=True), auth={"type": "bearer", "token": "canary"}, versions=versions)
    assert "authorization" not in server.requests[0].headers


# OAuth.


def oauth(server: HttpServer, **more: str) -> dict[str, str]:
    secret = {"client_id": "us & them", "client_secret": "canary:%"}
    return {"type": "oauth", "token_url": f"{server.url}/token", **secret, **more}


def token(value: object = "t1", **more: object) -> bytes:
    return answer(json.dumps({"access_token": value, "token_type": "Bearer", **more}).encode())


def asked(server: HttpServer, path: str) -> list[Request]:
    return [request for request in server.requests if request.target == path]


async def test_client_credentials(server: HttpServer) -> None:
    """A token is asked for as RFC 6749 has it, once, and used until it expires."""
    server.on("/token", token(expires_in=3600))
    server.on("/doc", OK)
    async with opened(server, auth=oauth(server, scope="read write", audience="https://a")) as api:
        for _ in range(3):
            await api.fetch(wanted())
    (request,) = asked(server, "/token")
    assert (request.method, request.body) == (
        "POST",
        b"grant_type=client_credentials&scope=read+write&audience=https%3A%2F%2Fa",
    )
    encoded = base64.b64encode(b"us+%26+them:canary%3A%25").decode()
    assert request.headers["authorization"] == f"Basic {encoded}"
    assert [r.headers["authorization"] for r in asked(server, "/doc")] == ["Bearer t1"] * 3


async def test_client_secret_post(server: HttpServer) -> None:
    """Name and secret go into the form where the server wants them there."""
    server.on("/token", token())
    server.on("/doc", OK)
    await fetch(server, wanted(), auth=oauth(server, method="post"))
    (request,) = asked(server, "/token")
    assert request.body == b"grant_type=client_credentials&client_id=us+%26+them&client_secret=canary%3A%25"
    assert "authorization" not in request.headers


async def test_many_callers_ask_for_one_token(server: HttpServer) -> None:
    """Also when the first of them goes away while it is being asked for."""
    arrived, go = trio.Event(), trio.Event()

    async def slow(_request: Request, stream: trio.SocketStream) -> None:
        arrived.set()
        await go.wait()
        await last(stream, token())

    server.on("/token", slow)
    server.on("/doc", OK)
    async with opened(server, auth=oauth(server)) as api, trio.open_nursery() as nursery:
        first = trio.CancelScope()

        async def leaving() -> None:
            with first:
                await api.fetch(wanted())

        nursery.start_soon(leaving)
        await arrived.wait()
        for _ in range(10):
            nursery.start_soon(api.fetch, wanted())
        await trio.testing.wait_all_tasks_blocked()
        first.cancel()
        go.set()
    assert len(asked(server, "/token")) == 1
    assert len(asked(server, "/doc")) == 10


async def test_a_token_that_is_refused(server: HttpServer) -> None:
    """A 401 is followed by one try with a new token, also for what may not be sent twice: it was not done."""
    server.on("/token", token("old"), token("new"))
    server.on("/doc", UNAUTHORIZED, OK)
    await fetch(server, wanted(method="POST", body={}), auth=oauth(server))
    assert [r.headers["authorization"] for r in asked(server, "/doc")] == ["Bearer old", "Bearer new"]


async def test_a_second_refusal_is_final(server: HttpServer) -> None:
    """The upstream does not want us: two requests, no more."""
    server.on("/token", token("canary"))
    server.on("/doc", UNAUTHORIZED)
    sentence = await refused(server, UpstreamRejected, wanted(), auth=oauth(server))
    assert sentence == "api: answered 401 Unauthorized for http://host/doc"
    assert (len(asked(server, "/token")), len(asked(server, "/doc"))) == (2, 2)


async def test_a_refusal_that_others_have_mended(server: HttpServer) -> None:
    """Of several that are refused with one token, only the first forgets it."""
    server.on("/token", token("old"), token("new"))
    go = trio.Event()

    async def judge(request: Request, stream: trio.SocketStream) -> None:
        if request.headers["authorization"] == "Bearer old":
            await go.wait()
            await last(stream, UNAUTHORIZED)
        await last(stream, OK)

    server.on("/doc", judge)
    async with opened(server, auth=oauth(server)) as api, trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(api.fetch, wanted())
        await trio.testing.wait_all_tasks_blocked(0.05)
        go.set()
    assert len(asked(server, "/token")) == 2


@pytest.mark.parametrize(
    ("expires_in", "life"),
    [(3600, 3570.0), (40, 20.0), ("3600", 3570.0), (0, 0.0), (None, float("inf")), ("soon", float("inf"))],
)
async def test_how_long_a_token_is_used(
    server: HttpServer, autojump_clock: trio.testing.MockClock, expires_in: object, life: float
) -> None:
    """Until shortly before it expires, by the server's word and our clock; without a word, until it is refused."""
    auth = section(server, auth=oauth(server)).auth
    credentials = ClientCredentials("api", auth, None, None)  # type: ignore[arg-type]  # nothing is sent
    parsed = credentials._parsed(
        json.dumps({"access_token": "t", "token_type": "bearer", "expires_in": expires_in}).encode(), 100.0
    )
    assert parsed.usable_until == 100.0 + life


@pytest.mark.parametrize(
    ("kind", "script", "reason"),
    [
        (UpstreamRejected, UNAUTHORIZED, "answered 401 Unauthorized for http://host/token"),
        (UpstreamRejected, answer(status="404 Not Found"), "answered 404 Not Found for http://host/token"),
        (UpstreamUnavailable, answer(status="503 Service Unavailable"), "answered 503 Service Unavailable for"),
        (UpstreamInvalid, answer(b"<p>"), "the answer of upstreams.api.auth.token_url has no access_token"),
        (UpstreamInvalid, token("canary\r\nX-A: 1"), "the answer of upstreams.api.auth.token_url has no access_token"),
        (UpstreamInvalid, token(1), "the answer of upstreams.api.auth.token_url has no access_token"),
        (UpstreamInvalid, answer(b"[]"), "the answer of upstreams.api.auth.token_url has no access_token"),
        (
            UpstreamInvalid,
            answer(b'{"access_token": "canary", "token_type": "mac"}'),
            "the answer of upstreams.api.auth.token_url is not about a token of the type bearer",
        ),
    ],
)
async def test_no_token(server: HttpServer, kind: type[UpstreamError], script: bytes, reason: str) -> None:
    """The document is not asked for, and the sentence is about the token, without a secret in it."""
    server.on("/token", script)
    sentence = await refused(server, kind, wanted(), auth=oauth(server))
    assert sentence.startswith(f"api: no token: {reason}")
    assert "canary" not in sentence
    assert asked(server, "/doc") == []


async def test_the_deadline_is_one(server: HttpServer) -> None:
    """Token and document together take no longer than a document may."""
    server.on("/token", silent)
    sentence = await refused(server, UpstreamUnavailable, wanted(), auth=oauth(server), timeout="200ms")
    assert "no answer within 200ms (upstreams.api.timeout)" in sentence


async def test_secrets_are_in_no_log_and_no_representation(
    server: HttpServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """At the most talkative level, with a token and a secret that are refused."""
    caplog.set_level(logging.DEBUG)
    server.on("/token", token("canary-token"))
    server.on("/doc", UNAUTHORIZED)
    said: list[Any] = []
    async with opened(server, auth=oauth(server)) as api:
        with pytest.raises(UpstreamRejected) as raised:
            await api.fetch(wanted())
        said += [repr(raised.value), repr(raised.value.__context__), repr(api), repr(vars(api)), api.identity]
        said += [repr(section(server, auth=oauth(server)))]
    out, err = capfd.readouterr()
    assert "canary" not in "".join([*map(str, said), caplog.text, out, err])
