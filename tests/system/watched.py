"""A gateway over an upstream that answers with whatever was asked for, and the ways to see how it does."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import trio

from tests.fakes.http_server import HttpServer, Request, Script, answer
from tests.system.processes import Gateway

HEAD = """
[server]
name = "watched"
[cache.disk]
path = "{folder}/cache.db"
[strategies.kept]
ttl = "1h"
[strategies.short]
ttl = "1ms"
[upstream_defaults]
retries = 0
private_addresses = true
[upstreams.items]
type = "http"
base_url = "{url}"
breaker = {{ enabled = false }}
[tools.item]
description = "An item."
strategy = "kept"
[tools.item.input]
required = ["number"]
[tools.item.input.properties]
number = {{ type = "integer" }}
[tools.item.fetch]
upstream = "items"
path = "items/{{number}}"
[resources.item]
uri = "item://{{number}}"
description = "An item."
tool = "item"
"""


QUICK = """
[metrics]
resolution = "100ms"
interval = "1s"
history = "10m"
"""


class Items(HttpServer):
    """Has every item; slow and failing on demand."""

    delay = 0.0
    failing = False

    def script_for(self, request: Request) -> Script:
        if self.failing:
            return answer(status="503 Service Unavailable")
        number = request.target.rpartition("/")[2]
        return self._late if self.delay else answer(json.dumps({"number": number}).encode())

    async def _late(self, request: Request, stream: trio.SocketStream) -> None:
        await trio.sleep(self.delay)
        await stream.send_all(answer(b"{}"))


@dataclass
class Watched:
    """A gateway that runs, and what a client and an operator ask of it."""

    process: Gateway
    http: httpx2.AsyncClient
    numbers: dict[str, int] = field(default_factory=dict)

    async def rpc(self, method: str, params: dict[str, Any], **headers: str) -> dict[str, Any]:
        """The answer to a request of MCP's."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        sent = {"Accept": "application/json, text/event-stream", **headers}
        answered = await self.http.post(self.process.url, json=request, headers=sent)
        found = answered.json()
        assert isinstance(found, dict)
        return found

    async def item(self, number: int, **headers: str) -> dict[str, Any]:
        """The result of a call."""
        answered = await self.rpc("tools/call", {"name": "item", "arguments": {"number": number}}, **headers)
        result = answered["result"]
        assert isinstance(result, dict)
        return result

    async def admin(self, path: str, **headers: str) -> httpx2.Response:
        """What the admin site answers."""
        return await self.http.get(self.process.admin + path, headers=headers)

    async def raised(self) -> dict[str, str]:
        """The alerts that are raised, by name, and how bad each is."""
        alerts = (await self.admin("/api/alerts")).json()["alerts"]
        return {alert["name"]: alert["severity"] for alert in alerts}


async def start(folder: Path, url: str, more: str) -> Gateway:
    """A gateway of HEAD and `more`, for whoever closes it."""
    (folder / "watched.toml").write_text(HEAD.format(folder=folder, url=url) + more)
    return await trio.to_thread.run_sync(partial(Gateway.serving, folder, "--profile", "./watched.toml"))


def label_values(exposition: str) -> dict[str, set[str]]:
    """Every value of every label in Prometheus' text format, by the label's name."""
    found: dict[str, set[str]] = {}
    for line in exposition.splitlines():
        if not line.startswith("#"):
            for name, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', line):
                found.setdefault(name, set()).add(value)
    return found


@asynccontextmanager
async def watched(folder: Path, more: str = "", calls: int = 30) -> AsyncIterator[Watched]:
    """A gateway of HEAD and `more` that has answered some calls, and had a sample or two taken of that."""
    items = Items()
    async with trio.open_nursery() as nursery, httpx2.AsyncClient(trust_env=False) as http:
        await nursery.start(items.serve)
        (folder / "head.toml").write_text(HEAD.format(folder=folder, url=items.url) + QUICK)
        (folder / "watched.toml").write_text(f'extends = ["head.toml"]\n{more}')
        serving = partial(Gateway.serving, folder, "--profile", "./watched.toml")
        with await trio.to_thread.run_sync(serving) as process:
            about = Watched(process, http)
            for number in range(calls):
                await about.item(number % 10)
            overview: dict[str, Any] = {"throughput": 0.0}
            with trio.fail_after(30):
                while calls and not overview["throughput"]:
                    overview = (await about.admin("/api/overview?window=30")).json()
            yield about
        nursery.cancel_scope.cancel()
