from __future__ import annotations

import json
from typing import Any

import pytest
import trio
import trio.testing

from gateway.errors import GatewayError, UpstreamRejected
from gateway.upstream.model import Fetched
from tests.fakes.http_server import HttpServer, answer
from tests.upstream.http.asking import opened, wanted

BY_IDS = {"parameter": "ids", "separator": ",", "items": "data", "key": "id", "window": "20ms"}


def found(*items: Any) -> bytes:
    return answer(json.dumps({"data": items}).encode(), headers={"Cache-Control": "max-age=60", "ETag": '"1"'})


async def gathered(server: HttpServer, batch: dict[str, Any], *keys: str | int, **fetch: Any) -> list[Any]:
    """What came of each key, asked for one after the other within a window; a failure is its sentence."""
    outcomes: dict[int, Any] = {}
    async with opened(server, batch=batch) as api, trio.open_nursery() as nursery:

        async def one(number: int) -> None:
            what = wanted("users", **{**fetch, "batch_key": "x"})
            what = type(what)(**{**{k: getattr(what, k) for k in what.__slots__}, "batch_key": keys[number]})
            try:
                outcomes[number] = json.loads((await api.fetch(what)).body)
            except GatewayError as error:
                outcomes[number] = str(error).replace(server.url, "http://host")

        for number in range(len(keys)):
            nursery.start_soon(one, number)
            await trio.testing.wait_all_tasks_blocked()
    return [outcomes[number] for number in range(len(keys))]


async def test_keys_in_one_parameter(server: HttpServer) -> None:
    """They are joined by the separator, each encoded, and the items sorted out by their keys."""
    server.on("/users?role=x&ids=a%26b%2C7", found({"id": 7}, {"id": "a&b"}))
    assert await gathered(server, BY_IDS, "a&b", 7, query={"role": "x"}) == [{"id": "a&b"}, {"id": 7}]
    assert len(server.requests) == 1


async def test_a_repeated_parameter(server: HttpServer) -> None:
    """Without a separator it stands there once for each key."""
    server.on("/users?ids=a%2Cb&ids=c", found({"id": "c"}, {"id": "a,b"}))
    batch = {name: value for name, value in BY_IDS.items() if name != "separator"}
    assert await gathered(server, batch, "a,b", "c") == [{"id": "a,b"}, {"id": "c"}]


async def test_an_object_of_items(server: HttpServer) -> None:
    """Its members' names are the keys."""
    server.on("/users?ids=a%2Cb", answer(b'{"b": 2, "a": {"x": 1}}'))
    batch = {"parameter": "ids", "separator": ","}
    assert await gathered(server, batch, "a", "b") == [{"x": 1}, 2]


async def test_items_in_the_order_of_the_keys(server: HttpServer) -> None:
    """Without a key each is whose turn it is; another number of them can't be told apart."""
    server.on("/users?ids=a%2Cb", answer(b"[1, null]"), answer(b"[1]"))
    batch = {"parameter": "ids", "separator": ","}
    assert await gathered(server, batch, "a", "b") == [1, "api: the answer has no item for 'b'"]
    sentence = "api: the answer to a batch has 1 items for 2 keys; upstreams.api.batch.key would say which is whose"
    assert await gathered(server, batch, "a", "b") == [sentence] * 2


@pytest.mark.parametrize(
    ("parameter", "body", "sent"),
    [("", None, ["a", 7]), ("ids", None, {"ids": ["a", 7]}), ("ids", {"full": True}, {"full": True, "ids": ["a", 7]})],
)
async def test_keys_in_the_body(server: HttpServer, parameter: str, body: Any, sent: Any) -> None:
    """They are an array, numbers among them: the whole, or a member beside what the fetch says."""
    server.on("/users", found({"id": "a"}, {"id": 7}))
    batch = {"place": "body", "parameter": parameter, "items": "data", "key": "id", "window": "20ms"}
    more = {} if body is None else {"body": body}
    assert await gathered(server, batch, "a", 7, method="POST", **more) == [{"id": "a"}, {"id": 7}]
    (request,) = server.requests
    assert json.loads(request.body) == sent
    assert body is not None or request.headers["content-type"] == "application/json"


async def test_items_that_fail_fail_alone(server: HttpServer) -> None:
    """One that is missing is not found, one that says what is wrong with it is invalid."""
    batch = {**BY_IDS, "error": "error.message"}
    items = [
        {"id": "a"},
        {"id": "b", "error": {"message": "gone\n"}},
        {"id": "z"},
        None,
        {"id": None},
        {"id": "a", "x": 1},
    ]
    server.on("/users?ids=a%2Cb%2Cc", found(*items))
    assert await gathered(server, batch, "a", "b", "c") == [
        {"id": "a"},
        "api: the item for 'b' failed: gone?",
        "api: the answer has no item for 'c'",
    ]


async def test_one_key_that_spoils_the_whole(server: HttpServer) -> None:
    """Where the upstream refuses all because of one, each is asked for by itself, and that one fails alone."""
    server.on("/users?ids=a%2Cb%2Cc", answer(status="400 Bad Request"))
    server.on("/users?ids=a", found({"id": "a"}))
    server.on("/users?ids=c", found({"id": "c"}))
    server.on("/users?ids=b", answer(status="400 Bad Request"))
    assert await gathered(server, BY_IDS, "a", "b", "c") == [
        {"id": "a"},
        "api: answered 400 Bad Request for http://host/users",
        {"id": "c"},
    ]
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (answer(status="503 Service Unavailable"), "answered 503 Service Unavailable for http://host/users"),
        (answer(status="403 Forbidden"), "answered 403 Forbidden for http://host/users"),
        (
            answer(b"<p>", "text/html"),
            "the answer to a batch is text/html, where upstreams.api.batch.items looks for items in JSON",
        ),
        (
            answer(b'{"data": 1}'),
            "the answer to a batch has neither an array nor an object where upstreams.api.batch.items looks for items",
        ),
        (answer(b"[" * 100_000), "the answer said it was JSON but is not: "),
    ],
)
async def test_a_batch_that_fails_is_not_taken_apart(server: HttpServer, script: bytes, sentence: str) -> None:
    """Nothing that no single key has caused makes many requests out of one."""
    server.on("/users?ids=a%2Cb", script)
    outcomes = await gathered(server, BY_IDS, "a", "b")
    assert [outcome.startswith(f"api: {sentence}") for outcome in outcomes] == [True] * 2
    assert len(server.requests) == 1


async def test_freshness_holds_for_each_item(server: HttpServer) -> None:
    """What the answer says of itself; its ETag is not one of an item."""
    server.on("/users?ids=a", found({"id": "a"}))
    async with opened(server, batch=BY_IDS) as api:
        fetched: Fetched = await api.fetch(wanted("users", batch_key="a"))
    assert fetched.directives.max_age == 60
    assert fetched.validators.etag == ""


async def test_an_upstream_without_batches(server: HttpServer) -> None:
    """A key of one is refused before anything is sent."""
    async with opened(server) as api:
        with pytest.raises(UpstreamRejected, match=r"^api: it takes no batches \(upstreams\.api\.batch\)"):
            await api.fetch(wanted("users", batch_key="a"))
    assert server.connections == 0
