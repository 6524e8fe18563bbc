"""What a gateway imports when somebody asks for it, and not before."""

from __future__ import annotations

import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trio

from gateway.serving.protocol import MODERN_VERSION
from tests.fakes.registry import Registry
from tests.system.processes import FREE_PORTS, Gateway

ACCEPT = {"Accept": "application/json, text/event-stream"}
CLIENT = {"name": "c", "version": "1"}
META = {"io.modelcontextprotocol/protocolVersion": MODERN_VERSION, "io.modelcontextprotocol/clientCapabilities": {}}
SDK, SITE = {"mcp", "mcp_types"}, {"quart", "jinja2"}
OF_RICH = {"pygments"}
"""What rich imports, of which an attempt is told as well."""


@pytest.fixture
async def gateway(tmp_path: Path, registry: Registry) -> AsyncIterator[Gateway]:
    """One that tells what it imports."""
    telling = {"PYTHONPROFILEIMPORTTIME": "1"}
    with Gateway(tmp_path, "serve", *FREE_PORTS, registry=registry.url, environ=telling) as gateway:
        await trio.to_thread.run_sync(gateway.wait_for, "  client ")
        yield gateway


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    """One that is patient."""
    async with httpx2.AsyncClient(trust_env=False, timeout=60, headers=ACCEPT) as client:
        yield client


def imported(gateway: Gateway) -> set[str]:
    """The packages that it has imported so far."""
    return set(re.findall(r"^import time:.*\| +([a-z0-9_]+)", gateway.stderr, re.M))


def body(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


async def test_a_gateway_of_tools_does_without_the_sdk(gateway: Gateway, client: httpx2.AsyncClient) -> None:
    """Clients of both eras are introduced, tools are called, probes are answered; a resource needs the SDK."""
    hello = body("initialize", protocolVersion="2025-11-25", capabilities={"roots": {}}, clientInfo=CLIENT)
    asked = [hello, body("ping"), body("tools/list"), body("resources/list"), body("prompts/list")]
    asked.append(body("tools/call", name="get_component_props", arguments={"name": "button"}))
    for each in (*asked, asked[-1]):
        assert "result" in (await client.post(gateway.url, json=each)).json()
    initialized = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert (await client.post(gateway.url, json=initialized)).status_code == 202
    for method in ("server/discover", "tools/list"):
        headers = {"MCP-Protocol-Version": MODERN_VERSION, "Mcp-Method": method}
        answer = await client.post(gateway.url, json=body(method, _meta=META), headers=headers)
        assert "result" in answer.json()
    assert (await client.get(gateway.url)).status_code == 405
    assert (await client.get(f"{gateway.admin}/readyz")).json()["status"] == "ready"
    assert (await client.head(f"{gateway.admin}/healthz")).status_code == 200
    assert (await client.post(f"{gateway.admin}/healthz")).status_code == 405
    assert (SDK | SITE | OF_RICH) & imported(gateway) == set()
    read = await client.post(gateway.url, json=body("resources/read", uri="varlet://components"))
    assert read.json()["result"]["contents"][0]["uri"] == "varlet://components"
    assert imported(gateway) >= SDK
    assert not SITE & imported(gateway)
    assert (await client.get(f"{gateway.admin}/metrics")).status_code == 200
    assert imported(gateway) >= SITE


async def test_many_need_the_sdk_at_once(gateway: Gateway, client: httpx2.AsyncClient) -> None:
    """All wait for it, and are answered; so is whoever does not need it."""
    statuses: list[int] = []

    async def ask(method: str) -> None:
        statuses.append((await client.post(gateway.url, json=body(method))).status_code)

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(ask, "no/such")
            nursery.start_soon(ask, "ping")
    assert statuses == [200] * 40


async def test_a_stop_while_the_sdk_is_imported(gateway: Gateway, client: httpx2.AsyncClient) -> None:
    """Who asked for what needs it is answered first."""
    answers: list[httpx2.Response] = []

    async def ask() -> None:
        answers.append(await client.post(gateway.url, json=body("resources/list", cursor="x")))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await trio.to_thread.run_sync(gateway.wait_for, "mcp_types.jsonrpc")
        assert await trio.to_thread.run_sync(gateway.stop, signal.SIGTERM) == 0
    assert answers[0].json()["error"]["message"].startswith("Unknown cursor")
