"""`gateway serve` as a process: what it says when it starts, and how it ends."""

from __future__ import annotations

import json
import re
import signal
from functools import partial
from pathlib import Path

import httpx2
import pytest
import trio

from tests.fakes import varlet
from tests.fakes.registry import Registry
from tests.system.processes import Gateway

CALL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "get_component_props", "arguments": {"name": "button"}},
}
ACCEPT = {"Accept": "application/json, text/event-stream"}


def test_greeting(tmp_path: Path) -> None:
    """It says where it is, what it was made from, what it offers, where it keeps things, and what to paste."""
    with Gateway.serving(tmp_path) as gateway:
        said = gateway.stderr
        assert re.search(r"^gateway: .+ at http://127\.0\.0\.1:\d+/mcp$", said, re.M)
        assert re.search(r"^  profile +development, from \S*base\.toml, \S*varlet\.toml, \S*t\.toml$", said, re.M)
        assert re.search(r"^  tools +list_components, get_component_info, .*check_compatibility$", said, re.M)
        assert re.search(r"^  tiers +memory \(.+\), disk \(.*/cache/development\.db\)$", said, re.M)
        client = re.search(r"^  client +(\{.*\})$", said, re.M)
        assert client
        assert json.loads(client[1]) == {"mcpServers": {"varlet": {"type": "http", "url": gateway.url}}}


def test_bound_to_all_addresses(tmp_path: Path) -> None:
    """The address that it says is one that it serves, also where it listens on all."""
    with Gateway.serving(tmp_path, "--set", 'server.bind=["0.0.0.0:0"]') as gateway:
        assert gateway.url.startswith("http://localhost:")
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        url = gateway.url.replace("localhost", "127.0.0.1")  # some machines have localhost at ::1 only
        host = {"Host": gateway.url.split("/")[2]}
        assert httpx2.post(url, json=ping, headers={**ACCEPT, **host}, trust_env=False).status_code == 200


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGINT], [signal.SIGTERM, signal.SIGINT]])
def test_idle(tmp_path: Path, signals: list[signal.Signals]) -> None:
    """When idle, a signal ends it with exit code 0, and nothing waits for a deadline."""
    patient = ("--set", "server.drain_timeout=10m")  # far longer than the test waits
    with Gateway.serving(tmp_path, *patient) as gateway:
        assert gateway.stop(*signals) == 0


def test_idle_connections(tmp_path: Path) -> None:
    """A client that keeps its connection, to MCP or to the admin site, does not hold up a stop."""
    patient = ("--set", "server.drain_timeout=10m")  # far longer than the test waits
    with Gateway.serving(tmp_path, *patient) as gateway, httpx2.Client(trust_env=False) as client:
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        assert client.post(gateway.url, json=ping, headers=ACCEPT).status_code == 200
        assert client.get(f"{gateway.admin}/healthz").status_code == 200
        assert gateway.stop(signal.SIGTERM) == 0


async def test_a_request_under_way_is_answered_first(tmp_path: Path, registry: Registry) -> None:
    """After SIGTERM it answers what it was asked, takes nothing new, tells a probe so, and exits with 0."""
    asked, go_on = trio.Event(), trio.Event()
    varlet.hold(registry, asked, go_on)
    starting = partial(Gateway.serving, tmp_path, registry=registry.url)
    answers: list[httpx2.Response] = []
    with await trio.to_thread.run_sync(starting) as gateway:
        async with (
            httpx2.AsyncClient(trust_env=False, timeout=60, headers=ACCEPT) as client,
            trio.open_nursery() as nursery,
        ):

            async def ask() -> None:
                answers.append(await client.post(gateway.url, json=CALL))

            nursery.start_soon(ask)
            await asked.wait()
            gateway.process.send_signal(signal.SIGTERM)
            await trio.to_thread.run_sync(gateway.wait_for, "stopping")
            async with httpx2.AsyncClient(trust_env=False) as probe:
                said = await probe.get(f"{gateway.admin}/readyz")
                assert (said.status_code, said.json()["status"]) == (503, "draining")
            go_on.set()
        assert answers[0].json()["result"]["structuredContent"]["name"] == "var-button"
        assert await trio.to_thread.run_sync(gateway.wait) == 0


async def test_five_hundred_first_calls(tmp_path: Path, registry: Registry) -> None:
    """500 first calls at once cause one download, and the first of them, who hangs up, fails nobody."""
    starting = partial(Gateway.serving, tmp_path, registry=registry.url)
    limits = httpx2.Limits(max_connections=100)
    asked, go_on = trio.Event(), trio.Event()
    varlet.hold(registry, asked, go_on)
    good: list[bool] = []
    with await trio.to_thread.run_sync(starting) as gateway:
        async with (
            httpx2.AsyncClient(trust_env=False, timeout=90, limits=limits, headers=ACCEPT) as client,
            trio.open_nursery() as nursery,
        ):

            async def ask() -> None:
                result = (await client.post(gateway.url, json=CALL)).json()["result"]
                good.append(result.get("structuredContent", {}).get("name") == "var-button")

            leaving = trio.CancelScope()

            async def ask_and_leave() -> None:
                with leaving:
                    await ask()

            nursery.start_soon(ask_and_leave)
            await asked.wait()
            for _ in range(499):
                nursery.start_soon(ask)
            leaving.cancel()
            go_on.set()
    assert good == [True] * 499
    assert registry.targets().count(registry.tarball_target(varlet.PACKAGE, "2.0.0")) == 1
    assert registry.targets().count(registry.packument_target(varlet.PACKAGE)) == 1


PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


@pytest.mark.parametrize("front", ["true", "false"])
async def test_a_load_balancer_gets_time_to_see_it(tmp_path: Path, front: str) -> None:
    """After SIGTERM all is served, also on new connections, while /readyz says 503: for `server.drain_delay`."""
    long = ("--set", "server.drain_delay=10m", "--set", f"server.front={front}")  # far longer than the test waits
    with await trio.to_thread.run_sync(partial(Gateway.serving, tmp_path, *long)) as gateway:
        gateway.process.send_signal(signal.SIGTERM)
        await trio.to_thread.run_sync(gateway.wait_for, "stopping")
        async with httpx2.AsyncClient(trust_env=False) as probe:
            assert (await probe.get(f"{gateway.admin}/readyz")).status_code == 503
        for _ in range(3):
            async with httpx2.AsyncClient(trust_env=False, headers=ACCEPT) as client:
                assert (await client.post(gateway.url, json=PING)).status_code == 200


@pytest.mark.parametrize("front", ["true", "false"])
def test_the_delay_ends(tmp_path: Path, front: str) -> None:
    """Then it drains and ends as ever."""
    short = ("--set", "server.drain_delay=300ms", "--set", f"server.front={front}")
    with Gateway.serving(tmp_path, *short) as gateway:
        assert gateway.stop(signal.SIGTERM) == 0
