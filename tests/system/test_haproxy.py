"""Three gateways behind HAProxy with the shipped configuration, its ports apart, under load."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx2
import trio

from tests.system.fleet import fleet
from tests.system.fronted import write_profile
from tests.system.processes import Gateway

SHIPPED = Path(__file__).parent.parent.parent / "systemd" / "haproxy.cfg"
HAPROXY = shutil.which("haproxy") or "/usr/sbin/haproxy"
VERSION = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": VERSION,
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
CALLERS, LISTERS = 5, 2
PACE = 0.01
"""Seconds that each of them leaves between two requests: this machine has others to serve."""
CROWD, ASKERS = 1000, 6
SOME = 60
"""Answers to see before the next thing happens."""


def port_of(url: str) -> int:
    return int(re.findall(r":(\d+)", url)[0])


def start(folder: Path, name: str, mcp: int = 0, admin: int = 0) -> Gateway:
    """An instance, which goes on for as long as HAProxy needs to see that it drains; on free ports, or on these."""
    home = folder / name
    home.mkdir(exist_ok=True)
    profile = ("--profile", str(folder / "fronted.toml"), "--set", "server.drain_delay=10s")
    binds = ("--set", f'server.bind=["127.0.0.1:{mcp}"]', "--set", f'admin.bind=["127.0.0.1:{admin}"]')
    gateway = Gateway(home, "serve", *profile, *binds)
    gateway.wait_for("  client ")
    return gateway


def configured(folder: Path, gateways: Mapping[str, Gateway], listening: socket.socket) -> Path:
    """The shipped configuration for these gateways, and for a socket that listens already."""
    text = SHIPPED.read_text().replace("bind 127.0.0.1:8700", f"bind fd@{listening.fileno()}")
    ports: dict[int, int] = {}
    for number, gateway in enumerate(gateways.values()):
        ports |= {8771 + number: gateway.port, 8781 + number: port_of(gateway.admin)}
    text = re.sub(r"\b(877\d|878\d)\b", lambda found: str(ports[int(found[1])]), text)
    path = folder / "haproxy.cfg"
    path.write_text(text)
    return path


def headers(method: str) -> dict[str, str]:
    told = {"MCP-Protocol-Version": VERSION, "Mcp-Method": method, "Accept": "application/json, text/event-stream"}
    return {**told, "Mcp-Name": "doc"} if method == "tools/call" else told


def asked(method: str) -> dict[str, object]:
    called = {"name": "doc", "arguments": {"name": "a"}} if method == "tools/call" else {}
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**called, "_meta": META}}


def test_the_configuration_is_right() -> None:
    """HAProxy has nothing to say against it."""
    ended = subprocess.run([HAPROXY, "-c", "-f", str(SHIPPED)], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "warning" not in (ended.stdout + ended.stderr).lower()


async def test_one_is_reloaded_one_killed_and_one_restarted(tmp_path: Path) -> None:
    """Only what the killed instance had at that moment is lost; a reload, a stop and a start lose nothing."""
    profile = write_profile(tmp_path)
    note, noted = trio.open_memory_channel[int](100_000)
    done = trio.Event()
    with ExitStack() as stack:
        gateways = {}
        for name in "abc":
            gateways[name] = await trio.to_thread.run_sync(start, tmp_path, name)
            stack.enter_context(gateways[name])
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
        options = ("-db", "-f", str(configured(tmp_path, gateways, listening)))
        haproxy = Gateway(tmp_path, *options, program=[HAPROXY], pass_fds=[listening.fileno()])
        stack.enter_context(haproxy)

        async def ask(method: str) -> None:
            async with httpx2.AsyncClient(trust_env=False, timeout=60, headers=headers(method)) as client:
                while not done.is_set():
                    try:
                        status = (await client.post(url, json=asked(method))).status_code
                    except httpx2.RemoteProtocolError:  # the end of the connection in place of an answer
                        status = 0
                    note.send_nowait(status)
                    await trio.sleep(PACE)

        async def answers_until(happened: Callable[[], bool]) -> list[int]:
            """What is answered until something has happened, and a while longer."""
            statuses = []
            with trio.fail_after(60):
                while not happened():
                    statuses.append(await noted.receive())
                return [*statuses, *[await noted.receive() for _ in range(SOME)]]

        def served_again() -> bool:
            return " gateways/c " in haproxy.stderr[before:].partition("Server gateways/c is UP")[2]

        async with trio.open_nursery() as nursery:
            for method in ["tools/call"] * CALLERS + ["tools/list"] * LISTERS:
                nursery.start_soon(ask, method)
            steady = await answers_until(lambda: all(f" gateways/{name} " in haproxy.stderr for name in "abc"))
            profile.write_text(profile.read_text().replace("A text", "Another text"))
            gateways["a"].process.send_signal(signal.SIGHUP)
            steady += await answers_until(lambda: "profile reloaded" in gateways["a"].stderr)
            gateways["b"].process.kill()
            lost = await answers_until(lambda: "Server gateways/b is DOWN" in haproxy.stderr)
            gateways["c"].process.terminate()
            steady += await answers_until(lambda: gateways["c"].process.poll() is not None)
            assert gateways["c"].process.returncode == 0
            before = len(haproxy.stderr)
            again = partial(start, tmp_path, "c", gateways["c"].port, port_of(gateways["c"].admin))
            stack.enter_context(await trio.to_thread.run_sync(again))
            steady += await answers_until(served_again)
            done.set()
    assert set(steady) == {200}
    assert sum(status != 200 for status in lost) <= CALLERS + LISTERS
    assert set(lost) <= {200, 502, 0}


async def test_a_fleet_with_an_engine_behind_it(tmp_path: Path, nursery: trio.Nursery) -> None:
    """1000 concurrent misses by way of HAProxy are one request; a purge by one instance is seen through all of them.

    Then the engine and an instance are killed under load: nothing is lost but what that instance had.
    """
    names = [f"d{number}" for number in range(100)]
    async with fleet(tmp_path, nursery) as gateways:
        with ExitStack() as stack:
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=CROWD))
            named = {"abc"[number]: gateway for number, gateway in gateways.gateways.items()}
            options = ("-db", "-f", str(configured(tmp_path, named, listening)))
            haproxy = Gateway(tmp_path, *options, program=[HAPROXY], pass_fds=[listening.fileno()])
            stack.enter_context(haproxy)
            port = listening.getsockname()[1]
            gateways.upstream.offer("a", *names)
            gateways.upstream.hold()
            answers: Counter[object] = Counter()
            under_way = 0

            def sent() -> None:
                nonlocal under_way
                under_way += 1
                if under_way == CROWD:
                    gateways.upstream.gate.set()

            async def caller() -> None:
                answers[await gateways.ask_alone(port, "a", sent)] += 1

            async with trio.open_nursery() as callers:
                for _ in range(CROWD):
                    callers.start_soon(caller)
            assert (answers, gateways.upstream.asked) == ({1: CROWD}, {"a": 1})
            shares = [await gateways.metric(number, 'gateway_connections_total{event="opened"}') for number in range(3)]
            assert all(share > 0 for share in shares), shares

            assert (await gateways.purge(0, tag="upstream:api")).status_code == 200
            for number in range(3):
                await gateways.ask_until(number, "a", 2)

            lost: list[object] = []
            answered = 0
            some = trio.Event()

            async def asker(mine: list[str]) -> None:
                nonlocal answered
                for name in mine:
                    try:
                        await gateways.ask_alone(port, name, lambda: None)
                    except (AssertionError, OSError, trio.BrokenResourceError) as error:
                        lost.append(error)
                    answered += 1
                    if answered == len(names):
                        some.set()

            async with trio.open_nursery() as callers:
                for number in range(ASKERS):
                    callers.start_soon(asker, names[number:] + names[:number])
                await some.wait()
                gateways.engine.kill()
                gateways.signal(2, signal.SIGKILL)
            assert answered == ASKERS * len(names)
            assert len(lost) <= ASKERS  # each had one request on it at most
