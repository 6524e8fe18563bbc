"""The mixed load of a soak: calls that hit, calls that miss, calls that are refused, lists, in several connections."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2
import orjson
import trio

from gateway.errors import GatewayError

HEADERS = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
"""Of a client that takes an answer in either form."""
_UNKNOWN = "a_tool_that_nobody_declares"
_RARE = 0.05
"""The share of each odd kind: lists, an unknown tool, wrong arguments."""
_NEW = 0.01
"""The share of calls with values that no one asked for before: each of them fills the cache a little."""


class MixedLoad:
    """Asks a gateway over HTTP until cancelled. `calls` are tools with arguments, over and over; `headers` go along."""

    def __init__(
        self,
        url: str,
        calls: Sequence[tuple[str, Mapping[str, Any]]],
        connections: int,
        pause: float,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._url = url
        self._headers = {**HEADERS, **(headers or {})}
        self._calls = calls
        self._connections = connections
        self._pause = pause
        self._ids = itertools.count(1)
        self.outcomes: Counter[str] = Counter()
        """`ok`, `refused` (what was wrong or new, and is to be), `failed` (all else)."""

    async def run(self) -> None:
        """Ask. What goes wrong is counted; it ends only when cancelled."""
        async with trio.open_nursery() as nursery:
            for number in range(self._connections):
                nursery.start_soon(self._one, random.Random(number))  # noqa: S311  # which call comes next is no secret

    async def _one(self, draw: random.Random) -> None:
        async with httpx2.AsyncClient(timeout=60, trust_env=False, headers=self._headers) as http:
            while True:
                await self._ask(http, draw)
                await trio.sleep(self._pause)

    async def _ask(self, http: httpx2.AsyncClient, draw: random.Random) -> None:
        method, params, sound = self._request(draw)
        body = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        try:
            response = await http.post(self._url, content=orjson.dumps(body))
            outcome = _outcome(response, sound=sound)
        except (httpx2.HTTPError, ValueError):
            outcome = "failed"
            await trio.sleep(0.1)
        self.outcomes[outcome] += 1

    def _request(self, draw: random.Random) -> tuple[str, dict[str, Any], bool]:
        """A method, its parameters, and whether it has to be answered well."""
        chance = draw.random()
        if chance < _RARE:
            return "tools/list", {}, True
        if chance < 2 * _RARE:
            return "tools/call", {"name": _UNKNOWN, "arguments": {}}, False
        tool, arguments = draw.choice(self._calls)
        if chance < 3 * _RARE:
            return "tools/call", {"name": tool, "arguments": {"nobody_takes_this": draw.random()}}, False
        texts = {name: value for name, value in arguments.items() if isinstance(value, str)}
        if chance < 3 * _RARE + _NEW and texts:
            new = {name: f"{value} {draw.randrange(10**9)}" for name, value in texts.items()}
            return "tools/call", {"name": tool, "arguments": {**arguments, **new}}, False
        return "tools/call", {"name": tool, "arguments": dict(arguments)}, True


def _answer(response: httpx2.Response) -> Any:
    content = response.content
    if response.headers.get("Content-Type", "").startswith("text/event-stream"):
        content = next((line[5:] for line in content.splitlines() if line.startswith(b"data:")), b"")
    return orjson.loads(content)


def _outcome(response: httpx2.Response, *, sound: bool) -> str:
    """How an answer counts; raises ValueError for one that is no answer."""
    answer = _answer(response)
    if not isinstance(answer, dict) or response.is_server_error:
        return "failed"
    bad = "error" in answer or not isinstance(answer.get("result"), dict) or answer["result"].get("isError")
    if not bad:
        return "ok"
    return "failed" if sound else "refused"


async def listed(url: str, headers: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """The tools that the gateway at `url` lists, asked with `headers`; raises GatewayError where it does not."""
    asking = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    try:
        async with httpx2.AsyncClient(timeout=60, trust_env=False, headers={**HEADERS, **(headers or {})}) as http:
            response = await http.post(url, json=asking)
            if response.status_code == httpx2.codes.UNAUTHORIZED:
                raise GatewayError(f"{url} wants to know who asks: --header 'Authorization=Bearer TOKEN'")
            tools: list[dict[str, Any]] = _answer(response)["result"]["tools"]
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, KeyError, TypeError) as error:
        raise GatewayError(f"no MCP server answers at {url}: {error or type(error).__name__}") from error
    return tools


async def refused_at_first(
    url: str, calls: Sequence[tuple[str, Mapping[str, Any]]], headers: Mapping[str, str] | None = None
) -> list[str]:
    """The tools whose call is refused, when each is made once: they want one argument or another.

    What fails in another way is for the soak to see. Raises GatewayError where nobody answers.
    """
    refused = []
    try:
        async with httpx2.AsyncClient(timeout=60, trust_env=False, headers={**HEADERS, **(headers or {})}) as http:
            for name, arguments in calls:
                params = {"name": name, "arguments": arguments}
                asking = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
                if _outcome(await http.post(url, json=asking), sound=False) == "refused":
                    refused.append(name)
    except (httpx2.HTTPError, ValueError) as error:
        raise GatewayError(f"no MCP server answers at {url}: {error or type(error).__name__}") from error
    return refused


def calls_of(
    warm: Sequence[tuple[str, Mapping[str, Any]]], free: Sequence[tuple[str, Mapping[str, Any]]], refused: Sequence[str]
) -> list[tuple[str, Mapping[str, Any]]]:
    """What to call: what is warmed, and those of `free` that are not refused. Raises GatewayError for nothing."""
    calls = [*warm, *(call for call in free if call[0] not in refused)]
    if not calls:
        raise GatewayError("there is nothing to call: add [[warm.calls]] to the profile")
    return calls


def free_calls(listed: Sequence[Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    """A call of every tool that only reads and requires no argument."""
    return [
        (tool["name"], dict[str, Any]())
        for tool in listed
        if not tool["inputSchema"].get("required") and tool.get("annotations", {}).get("readOnlyHint")
    ]
