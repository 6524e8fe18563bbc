from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import trio

from gateway.errors import GatewayError
from gateway.watch.soaking.load import MixedLoad, calls_of, free_calls, listed, refused_at_first
from tests.fakes.http_server import HttpServer, Request, Script, answer, reset

CALLS = [("get", {"name": "button", "limit": 5}), ("all", dict[str, Any]())]


def result(of: dict[str, Any]) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": of}).encode()


def well(_request: Request) -> Script:
    return answer(result({"content": []}))


class Gate(HttpServer):
    """An MCP endpoint that answers as a function says."""

    reply: Callable[[Request], Script] = staticmethod(well)

    def script_for(self, request: Request) -> Script:
        return self.reply(request)


async def loaded(nursery: trio.Nursery, reply: Callable[[Request], Script], requests: int) -> tuple[MixedLoad, Gate]:
    """The load after so many requests."""
    gate = Gate()
    gate.reply = reply
    await nursery.start(gate.serve)
    mixed = MixedLoad(f"{gate.url}/mcp", CALLS, connections=3, pause=0.0)
    async with trio.open_nursery() as asking:
        asking.start_soon(mixed.run)
        with trio.fail_after(60):
            while mixed.outcomes.total() < requests:  # noqa: ASYNC110  # nobody tells of a request
                await trio.sleep(0.01)
        asking.cancel_scope.cancel()
    return mixed, gate


async def test_the_mix(nursery: trio.Nursery) -> None:
    """Calls as declared for the most part; lists, unknown tools, wrong arguments and new values among them."""
    mixed, gate = await loaded(nursery, well, 1500)
    asked = [json.loads(request.body) for request in gate.requests]
    lists = [each for each in asked if each["method"] == "tools/list"]
    calls = [each["params"] for each in asked if each["method"] == "tools/call"]
    plain = [each for each in calls if (each["name"], each["arguments"]) in CALLS]
    unknown = [each for each in calls if each["name"] not in ("get", "all")]
    wrong = [each for each in calls if "nobody_takes_this" in each["arguments"]]
    new = [each for each in calls if str(each["arguments"].get("name", "")).startswith("button ")]
    assert len(plain) > 1000
    assert all(len(kind) > 20 for kind in (lists, unknown, wrong))
    assert len(new) > 1
    assert len({each["arguments"]["name"] for each in new}) == len(new)
    assert {each["arguments"]["limit"] for each in new} == {5}
    assert len(asked) == len(lists) + len(plain) + len(unknown) + len(wrong) + len(new)
    assert gate.connections <= 3
    assert len({each["id"] for each in asked}) == len(asked)
    assert mixed.outcomes["failed"] == 0


def error(_request: Request) -> Script:
    return answer(b'{"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "no"}}')


def is_error(_request: Request) -> Script:
    return answer(result({"isError": True, "content": []}))


def stream(_request: Request) -> Script:
    return answer(b"event: message\r\ndata: " + result({"content": []}) + b"\r\n\r\n", "text/event-stream")


@pytest.mark.parametrize("reply", [error, is_error])
async def test_what_is_wrong_may_be_refused(reply: Callable[[Request], Script], nursery: trio.Nursery) -> None:
    """...and what is not, may not: an upstream that failed is a failed answer."""
    mixed, _ = await loaded(nursery, reply, 200)
    assert mixed.outcomes["failed"] > mixed.outcomes["refused"] > 0
    assert mixed.outcomes["ok"] == 0


@pytest.mark.parametrize(
    "reply",
    [
        lambda _: answer(b"", status="500 Internal Server Error"),
        lambda _: answer(b"<html>"),
        lambda _: answer(b"[]"),
        lambda _: reset,
    ],
    ids=["500", "no JSON", "no object", "a reset"],
)
async def test_what_is_no_answer(reply: Callable[[Request], Script], nursery: trio.Nursery) -> None:
    """It is counted as failed, and the load goes on."""
    mixed, _ = await loaded(nursery, reply, 6)
    assert set(mixed.outcomes) == {"failed"}


async def test_answers_as_streams(nursery: trio.Nursery) -> None:
    """`server.response = "stream"` is as good."""
    mixed, gate = await loaded(nursery, stream, 50)
    assert set(mixed.outcomes) == {"ok"}
    gate.reply = lambda _: answer(result({"tools": [{"name": "t"}]}))
    assert await listed(gate.url) == [{"name": "t"}]


async def test_no_server(nursery: trio.Nursery) -> None:
    """A sentence, for a port where nothing listens, what is no address, and what speaks something else."""
    gate = Gate()
    await nursery.start(gate.serve)
    for url in ("http://127.0.0.1:9/mcp", "http://[", gate.url):
        with pytest.raises(GatewayError, match="no MCP server answers at"):
            await listed(url)


async def test_a_server_that_wants_to_know_who_asks(nursery: trio.Nursery) -> None:
    """Headers go along with every request; without the right one a sentence says how to give it."""

    def reply(request: Request) -> Script:
        known = request.headers.get("authorization") == "Bearer t"
        return answer(result({"tools": [], "content": []})) if known else answer(status="401 Unauthorized")

    gate = Gate()
    gate.reply = reply
    await nursery.start(gate.serve)
    assert await listed(gate.url, {"Authorization": "Bearer t"}) == []
    with pytest.raises(GatewayError, match=r"wants to know who asks: --header 'Authorization=Bearer TOKEN'$"):
        await listed(gate.url)
    mixed = MixedLoad(gate.url, CALLS, 1, 0.0, {"Authorization": "Bearer t"})
    async with trio.open_nursery() as asking:
        asking.start_soon(mixed.run)
        with trio.fail_after(60):
            while not mixed.outcomes.total():  # noqa: ASYNC110  # nobody tells of a request
                await trio.sleep(0.01)
        asking.cancel_scope.cancel()
    assert set(mixed.outcomes) == {"ok"}


def test_what_is_called() -> None:
    """What is warmed, and what needs no argument and only reads."""
    free = {"name": "free", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}}
    tools = [
        free,
        {**free, "name": "needs", "inputSchema": {"required": ["name"]}},
        {**free, "name": "writes", "annotations": {"readOnlyHint": False}},
        {"name": "unknown", "inputSchema": {}},
    ]
    calls = free_calls(tools)
    assert calls_of([("warm", {"a": 1})], calls, []) == [("warm", {"a": 1}), ("free", {})]
    with pytest.raises(GatewayError, match=r"there is nothing to call: add \[\[warm.calls\]\] to the profile"):
        calls_of([], calls, ["free"])


async def test_what_is_refused_without_arguments_is_left_out(nursery: trio.Nursery) -> None:
    """A tool that wants one argument or another requires none; a call that fails otherwise is for the soak to see."""

    def reply(request: Request) -> Script:
        name = json.loads(request.body)["params"]["name"]
        return answer(result({"content": [], **({"isError": True} if name == "picky" else {})}))

    gate = Gate()
    gate.reply = reply
    await nursery.start(gate.serve)
    calls: list[tuple[str, dict[str, Any]]] = [("picky", {}), ("free", {})]
    assert await refused_at_first(f"{gate.url}/mcp", calls) == ["picky"]
