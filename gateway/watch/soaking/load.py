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
"""The share of calls of each odd kind: an unknown tool, wrong arguments, values that no one asked for before."""


class MixedLoad:
    """Asks a gateway over HTTP until cancelled. `calls` are tools with arguments, over and over."""

    def __init__(
        self, url: str, calls: Sequence[tuple[str, Mapping[str, Any]]], connections: int, pause: float
    ) -> None:
        self._url = url
        self._calls = calls
        self._connections = connections
        self._pause = pause
        self._ids = itertools.count(1)
        self.outcomes: Counter[str] = Counter()
        """`ok`, `refused` (the caller's fault, as intended), `failed`."""

    async def run(self) -> None:
        """Ask. What goes wrong is counted; it ends only when cancelled."""
        async with trio.open_nursery() as nursery:
            for number in range(self._connections):
                nursery.start_soon(self._one, random.Random(number))  # noqa: S311  # which call comes next is no secret

    async def _one(self, draw: random.Random) -> None:
        async with httpx2.AsyncClient(timeout=60, trust_env=False, headers=HEADERS) as http:
            while True:
                await self._ask(http, draw)
                await trio.sleep(self._pause)

    async def _ask(self, http: httpx2.AsyncClient, draw: random.Random) -> None:
        method, params = self._request(draw)
        body = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        try:
            response = await http.post(self._url, content=orjson.dumps(body))
            answer = orjson.loads(response.content)
        except (httpx2.HTTPError, ValueError):
            self.outcomes["failed"] += 1
            await trio.sleep(0.1)
            return
        if "error" in answer or answer["result"].get("isError"):
            self.outcomes["refused"] += 1
        else:
            self.outcomes["ok"] += 1

    def _request(self, draw: random.Random) -> tuple[str, dict[str, Any]]:
        chance = draw.random()
        if chance < _RARE:
            return "tools/list", {}
        if chance < 2 * _RARE:
            return "tools/call", {"name": _UNKNOWN, "arguments": {}}
        tool, arguments = draw.choice(self._calls)
        if chance < 3 * _RARE:
            return "tools/call", {"name": tool, "arguments": {"nobody_takes_this": draw.random()}}
        if chance < 4 * _RARE:
            odd = {
                name: f"{value} {draw.randrange(10**9)}" for name, value in arguments.items() if isinstance(value, str)
            }
            return "tools/call", {"name": tool, "arguments": {**arguments, **odd}}
        return "tools/call", {"name": tool, "arguments": dict(arguments)}


def calls_of(
    listed: Sequence[Mapping[str, Any]], warm: Sequence[tuple[str, Mapping[str, Any]]]
) -> list[tuple[str, Mapping[str, Any]]]:
    """What to call: what is warmed, and every tool that needs no argument. Raises GatewayError where there is none."""
    free = [
        (tool["name"], dict[str, Any]())
        for tool in listed
        if not tool["inputSchema"].get("required") and tool.get("annotations", {}).get("readOnlyHint")
    ]
    calls = [*warm, *free]
    if not calls:
        raise GatewayError("there is nothing to call: add [[warm.calls]] to the profile")
    return calls
