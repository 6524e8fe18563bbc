"""Several gateways as processes of one profile: one engine, one upstream that counts, and a file for each of them."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import orjson
import trio

from tests.fakes.engine import Engine
from tests.fakes.http_server import HttpServer, Request, answer
from tests.system.processes import Gateway

PROFILE = """
extends = ["base.toml"]
[cache.shared]
enabled = true
url = "{engine}"
timeout = "5s"
[strategies.kept]
ttl = "1h"
stale_if_error = "1h"
[upstreams.api]
type = "http"
base_url = "{upstream}"
private_addresses = true
timeout = "30s"
retries = 0
[tools.get]
description = "A document."
strategy = "kept"
tags = ["doc:{{name}}"]
fetch = {{ upstream = "api", path = "{{name}}" }}
[tools.get.input]
required = ["name"]
[tools.get.input.properties]
name = {{ type = "string" }}
"""

_ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
_HEADERS = {
    "Accept": "application/json, text/event-stream",
    "Content-Type": "application/json",
    "MCP-Protocol-Version": "2026-07-28",
    "Mcp-Method": "tools/call",
    "Mcp-Name": "get",
}
_IDS = itertools.count(1)


def _message(name: str) -> bytes:
    params = {"name": "get", "arguments": {"name": name}, "_meta": _ENVELOPE}
    return orjson.dumps({"jsonrpc": "2.0", "id": next(_IDS), "method": "tools/call", "params": params})


@dataclass
class Upstream:
    """Answers every document with how often it was asked for, as soon as it may."""

    server: HttpServer = field(default_factory=HttpServer)
    asked: dict[str, int] = field(default_factory=dict)
    gate: trio.Event = field(default_factory=trio.Event)
    arrived: trio.Event = field(default_factory=trio.Event)
    """Set when a request is there."""
    broken: bool = False

    def offer(self, *names: str) -> None:
        for name in names:
            self.server.on(f"/{name}", self._answer)

    def hold(self) -> None:
        """Let requests wait from now on, until `gate` is set."""
        self.gate, self.arrived = trio.Event(), trio.Event()

    async def _answer(self, request: Request, stream: trio.SocketStream) -> None:
        name = request.target.removeprefix("/")
        self.asked[name] = self.asked.get(name, 0) + 1
        number = self.asked[name]
        self.arrived.set()
        await self.gate.wait()
        body = orjson.dumps({"name": name, "number": number})
        await stream.send_all(answer(b"{}", status="503 Busy") if self.broken else answer(body))


class Fleet:
    """The gateways, by number; one that was killed can be started again on its own file."""

    def __init__(self, folder: Path, profile: Path, engine: Engine, upstream: Upstream, more: Sequence[str]) -> None:
        self._folder = folder
        self._profile = profile
        self._more = more
        self.engine = engine
        self.upstream = upstream
        self.gateways: dict[int, Gateway] = {}
        self.client = httpx2.AsyncClient(
            timeout=60, trust_env=False, limits=httpx2.Limits(max_connections=None, max_keepalive_connections=100)
        )

    async def start(self, number: int) -> None:
        """Start a gateway; returns when it serves."""
        folder = self._folder / str(number)
        folder.mkdir(exist_ok=True)
        arguments = ("--profile", str(self._profile), *self._more)
        self.gateways[number] = await trio.to_thread.run_sync(lambda: Gateway.serving(folder, *arguments))

    async def ask(self, number: int, name: str) -> Any:
        """What a gateway answers for a document: how often the upstream had been asked then."""
        return (await self.call(number, name))["structuredContent"]["number"]

    async def call(self, number: int, name: str) -> dict[str, Any]:
        """The whole answer of a gateway."""
        response = await self.post(number, name)
        assert response.status_code == 200, response.text
        result = orjson.loads(response.content)["result"]
        assert isinstance(result, dict)
        return result

    async def post(self, number: int, name: str) -> httpx2.Response:
        """The answer as it came by HTTP."""
        return await self.client.post(self.gateways[number].url, content=_message(name), headers=_HEADERS)

    async def ask_alone(self, port: int, name: str, sent: Callable[[], None]) -> Any:
        """As `ask`, on a connection of its own, which costs little; `sent` is called once the request is."""
        body = _message(name)
        fields = {**_HEADERS, "Host": "localhost", "Content-Length": str(len(body)), "Connection": "close"}
        head = "".join(f"{key}: {value}\r\n" for key, value in fields.items())
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        async with stream:
            await stream.send_all(f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode() + body)
            sent()
            reply = b"".join([part async for part in stream])
        assert reply.startswith(b"HTTP/1.1 200"), reply[:300]
        return orjson.loads(reply.partition(b"\r\n\r\n")[2])["result"]["structuredContent"]["number"]

    async def ask_until(self, number: int, name: str, expected: int) -> None:
        """Ask until the answer is the expected one; until then it has to be an earlier one."""
        with trio.fail_after(20):
            while (found := await self.ask(number, name)) != expected:
                assert found < expected

    async def metric(self, number: int, name: str) -> float:
        """The value of a sample, as Prometheus is told it: `gateway_shared_up`, with its labels; 0 where it is none."""
        text = (await self.client.get(f"{self.gateways[number].admin}/metrics")).text
        return next((float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"{name} ")), 0.0)

    async def purge(self, number: int, **what: Any) -> httpx2.Response:
        """Purge on a gateway: `tag="doc:a"`, `all=True`, and so on."""
        return await self.client.post(f"{self.gateways[number].admin}/api/cache/purge", json=what)

    def signal(self, number: int, which: signal.Signals) -> None:
        os.kill(self.gateways[number].process.pid, which)

    async def wait_logged(self, number: int, text: str) -> None:
        """Until a gateway has written a line with `text`."""
        await trio.to_thread.run_sync(self.gateways[number].wait_for, text)

    async def close(self) -> None:
        await self.client.aclose()
        for gateway in self.gateways.values():
            await trio.to_thread.run_sync(gateway.close)


@asynccontextmanager
async def fleet(
    folder: Path, nursery: trio.Nursery, *more: str, size: int = 3, durable: bool = True, profile: str = PROFILE
) -> AsyncIterator[Fleet]:
    """So many gateways that serve, with an engine and an upstream that answers at once."""
    upstream = Upstream()
    await nursery.start(upstream.server.serve)
    upstream.gate.set()
    async with AsyncExitStack() as stack:
        engine = stack.enter_context(Engine(folder / "engine", durable=durable))
        path = folder / "fleet.toml"
        path.write_text(profile.format(engine=engine.url, upstream=upstream.server.url))
        gateways = Fleet(folder, path, engine, upstream, more)
        stack.push_async_callback(gateways.close)
        async with trio.open_nursery() as starting:
            for number in range(size):
                starting.start_soon(gateways.start, number)
        yield gateways
