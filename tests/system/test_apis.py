"""An HTTP API behind a whole gateway: what a profile says of it, from a tool's call to the bytes on the wire."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import permutations
from pathlib import Path
from typing import Any

import orjson
import pytest
import trio

from gateway.assembly import Gateway, open_gateway
from gateway.profile.effective import effective
from gateway.profile.loader import Loaded, load_profile
from tests.fakes.http_server import HttpServer, answer

PROFILE = """
[cache.disk]
path = "{folder}/cache.db"
[strategies.s]
ttl = "1h"

[upstreams.api]
type = "http"
base_url = "{url}/v1"
retry_delay = "1ms"
private_addresses = true
auth = {{ type = "oauth", token_url = "{url}/token", client_id = "gateway", client_secret = "${{credential:secret}}" }}
batch = {{ parameter = "ids", separator = ",", window = "1s", max = 3, items = "users", key = "id" }}

[tools.get_user]
description = "A user."
strategy = "s"
input.properties.id = {{ type = "integer" }}
fetch = {{ upstream = "api", path = "users", batch_key = "{{id}}" }}
result = {{ select = "name", missing = "No user {{id}}." }}

[tools.list_users]
description = "All users."
strategy = "s"
fetch.upstream = "api"
fetch.path = "all"
fetch.pages = {{ by = "cursor", cursor = "next", parameter = "after", items = "users" }}
result.select = "items[].name"

[tools.find]
description = "A search."
strategy = "s"
input.properties.q = {{ type = "string" }}
[tools.find.fetch]
upstream = "api"
path = "graphql"
method = "POST"
idempotent = true
body = {{ query = "query($q: String) {{{{ users(q: $q) {{{{ name }}}} }}}}", variables = {{ q = "{{q}}" }} }}
[tools.find.result]
select = "data.users[].name"

[tools.rename]
description = "Gives a user another name."
strategy = "s"
annotations.read_only = false
invalidates = ["user:{{id}}"]
input.properties = {{ id = {{ type = "integer" }}, name = {{ type = "string" }} }}
fetch = {{ upstream = "api", path = "users/{{id}}", method = "PUT", form = {{ name = "{{name}}" }} }}

[tools.news]
description = "The news."
strategy = "s"
fetch = {{ upstream = "api", path = "news", html = {{ select = "main" }} }}
result.format = "text"
"""


def loaded(folder: Path, server: HttpServer) -> Loaded:
    (folder / "credentials").mkdir()
    (folder / "credentials/secret").write_text("canary-secret\n")
    (folder / "p.toml").write_text(PROFILE.format(folder=folder, url=server.url))
    environ = {"CREDENTIALS_DIRECTORY": str(folder / "credentials")}
    return load_profile(str(folder / "p.toml"), environ=environ, cwd=folder, folders=[])


@asynccontextmanager
async def opened(folder: Path, server: HttpServer) -> AsyncIterator[Gateway]:
    server.on("/token", answer(b'{"access_token": "canary-token", "token_type": "bearer", "expires_in": 3600}'))
    profile = loaded(folder, server)
    assert profile.warnings == ()
    async with open_gateway(profile.profile, {}, ahead=False) as gateway:
        yield gateway


def kept_in(folder: Path) -> str:
    """The cache's files."""
    return "".join(file.read_bytes().decode("latin-1") for file in folder.glob("cache.db*"))


async def call(gateway: Gateway, tool: str, **arguments: Any) -> Any:
    """The structured content, or the sentence of an error or a text."""
    result = orjson.loads((await gateway.catalogue.call(tool, arguments)).payload)
    return result.get("structuredContent", {}).get("result") or result["content"][0]["text"]


async def test_calls_of_a_moment_are_one_request(docs: HttpServer, tmp_path: Path) -> None:
    """Three users in one request with one token; one of them is missing, and is missing alone."""
    users = [{"id": 1, "name": "Ada"}, {"id": 3, "name": "Grace"}]
    for order in permutations("123"):  # the look-ups before may end in any
        docs.on(f"/v1/users?ids={'%2C'.join(order)}", answer(json.dumps({"users": users}).encode()))
    said: dict[int, str] = {}

    async def ask(gateway: Gateway, number: int) -> None:
        said[number] = await call(gateway, "get_user", id=number)

    async with opened(tmp_path, docs) as gateway:
        async with trio.open_nursery() as nursery:
            for number in (1, 2, 3):
                nursery.start_soon(ask, gateway, number)
        assert said == {1: "Ada", 2: "No user 2.", 3: "Grace"}
        assert await call(gateway, "get_user", id=3) == "Grace"
    assert [target[:9] for target in docs.targets()] == ["/token", "/v1/users"]
    assert docs.requests[1].headers["authorization"] == "Bearer canary-token"


async def test_pages_become_one_answer(docs: HttpServer, tmp_path: Path) -> None:
    """All of them are read, and kept as one document."""
    docs.on("/v1/all", answer(b'{"users": [{"name": "Ada"}], "next": "x y"}'))
    docs.on("/v1/all?after=x%20y", answer(b'{"users": [{"name": "Grace"}], "next": null}'))
    async with opened(tmp_path, docs) as gateway:
        for _ in range(2):
            assert await call(gateway, "list_users") == ["Ada", "Grace"]
    assert docs.targets() == ["/token", "/v1/all", "/v1/all?after=x%20y"]


async def test_a_search_by_post(docs: HttpServer, tmp_path: Path) -> None:
    """It is tried again, since the profile calls it idempotent, and kept; what an agent says stays a value."""
    down = answer(status="503 Service Unavailable")
    docs.on("/v1/graphql", down, answer(b'{"data": {"users": [{"name": "Ada"}]}}'))
    async with opened(tmp_path, docs) as gateway:
        for _ in range(2):
            assert await call(gateway, "find", q='") { admin } #') == ["Ada"]
    sent = [json.loads(request.body) for request in docs.requests if request.target == "/v1/graphql"]
    query = "query($q: String) { users(q: $q) { name } }"
    assert sent == [{"query": query, "variables": {"q": '") { admin } #'}}] * 2


async def test_a_change(docs: HttpServer, tmp_path: Path) -> None:
    """It is made for each call, and answered also where the upstream has nothing to say."""
    docs.on("/v1/users/7", answer(b"", "", status="204 No Content"))
    async with opened(tmp_path, docs) as gateway:
        for _ in range(2):
            assert await call(gateway, "rename", id=7, name="Ada & Co") == "{}"
    sent = [(request.method, request.body) for request in docs.requests if request.target == "/v1/users/7"]
    assert sent == [("PUT", b"name=Ada+%26+Co")] * 2


async def test_a_page(docs: HttpServer, tmp_path: Path) -> None:
    """A tool answers with the Markdown of the part that the profile names."""
    docs.on("/v1/news", answer(b"<nav>x</nav><main><h1>News</h1><p>None.</main>", "text/html"))
    async with opened(tmp_path, docs) as gateway:
        assert await call(gateway, "news") == "# News\n\nNone.\n"


@pytest.mark.parametrize("status", ["401 Unauthorized", "400 Bad Request"])
async def test_no_secret_is_told(
    docs: HttpServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], status: str
) -> None:
    """Neither in answers, nor in logs, nor in the cache's files, nor by `gateway show`."""
    caplog.set_level(logging.DEBUG)
    docs.on("/v1/news", answer(status=status))
    async with opened(tmp_path, docs) as gateway:
        said = await call(gateway, "news")
        assert said == f"api: answered {status} for {docs.url}/v1/news"
        docs.on("/v1/graphql", answer(b'{"data": {"users": [{"name": "Ada"}]}}'))
        await call(gateway, "find", q="x")
    shown = effective(
        load_profile(
            str(tmp_path / "p.toml"),
            environ={"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")},
            cwd=tmp_path,
            folders=[],
        ),
        origins=True,
    )
    assert 'client_secret = "${credential:secret}"' in shown
    out, err = capfd.readouterr()
    assert "canary" not in "".join([said, caplog.text, out, err, shown])
    assert "canary" not in kept_in(tmp_path)
