"""The gateway as systemd has it: what it tells, the watchdog, sockets that were passed."""

from __future__ import annotations

import json
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import httpx2
import pytest
import trio

from tests.fakes import varlet
from tests.fakes.registry import Registry
from tests.fakes.systemd import Manager
from tests.system.processes import FREE_PORTS, NOWHERE, Gateway
from tests.system.test_serve import ACCEPT, CALL, PING

STUCK = """
import signal, sys, time
def block(*_):
    sys.stderr.write("stuck\\n")
    sys.stderr.flush()
    time.sleep(1000)
signal.signal(signal.SIGUSR1, block)
from gateway.__main__ import main
main()
"""
"""The gateway, whose event loop is blocked by a signal: its handler runs there."""

ENVIRON = """
import os, sys, json
json.dump(sorted(os.environ), open(sys.argv[1], "w"))
"""


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with Manager(tmp_path / "notify") as manager:
        yield manager


def supervised(
    folder: Path,
    manager: Manager,
    *arguments: str,
    watchdog: float | None = None,
    registry: str = NOWHERE,
    program: list[str] | None = None,
) -> Gateway:
    """A gateway that serves on free ports and tells the manager about it."""
    environ = {"NOTIFY_SOCKET": manager.address}
    if watchdog is not None:
        environ["WATCHDOG_USEC"] = str(round(watchdog * 1e6))
    return Gateway(folder, "serve", *FREE_PORTS, *arguments, environ=environ, program=program or [], registry=registry)


def test_ready_means_that_it_serves(tmp_path: Path, manager: Manager) -> None:
    """READY comes with a status, and whoever connects at that moment is answered; STOPPING comes with SIGTERM."""
    with supervised(tmp_path, manager) as gateway:
        ready = manager.wait_for("READY")
        gateway.wait_for("  client ")
        assert httpx2.post(gateway.url, json=PING, headers=ACCEPT, trust_env=False).status_code == 200
        assert ready["STATUS"] == "ready; 23 tools of development; tiers: memory, disk; 0 requests/min"
        assert gateway.stop(signal.SIGTERM) == 0
        stopping = manager.wait_for("STOPPING")
    assert stopping["STATUS"] == "draining: what is under way is answered first"
    assert int(stopping["EXTEND_TIMEOUT_USEC"]) == 35_000_000  # twice server.drain_timeout, and 15 s
    assert [message for message in manager.told if "WATCHDOG" in message] == []


def test_the_status_follows(tmp_path: Path, manager: Manager) -> None:
    """What is asked for shows in the status a few seconds later."""
    with supervised(tmp_path, manager, "--set", 'metrics.resolution="1s"') as gateway:
        manager.wait_for("READY")
        gateway.wait_for("  client ")
        refused = {**CALL, "params": {"name": "get_component_props", "arguments": {}}}
        assert httpx2.post(gateway.url, json=refused, headers=ACCEPT, trust_env=False).status_code == 200
        manager.wait_until(
            lambda told: "STATUS" in told and "requests/min" in told["STATUS"] and "; 0 " not in told["STATUS"]
        )


def test_a_start_that_fails_is_never_ready(tmp_path: Path, manager: Manager) -> None:
    """Where it can't listen it says why, and systemd never hears that it is ready."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f'server.bind=["127.0.0.1:{taken.getsockname()[1]}"]'
        with supervised(tmp_path, manager, "--set", address) as gateway:
            assert gateway.wait() == 1
            assert "server.bind: can't listen on" in gateway.stderr
    assert manager.told == []


@pytest.mark.parametrize(
    "more",
    [
        (),
        ("--set", "server.front=false"),
        ("--set", 'server.rate_limit={max=1, window="1h"}'),
        ("--set", "server.workers=2", "--set", 'server.rate_limit={max=1, window="1h"}'),
    ],
)
def test_the_watchdog_of_a_gateway_that_answers(tmp_path: Path, manager: Manager, more: tuple[str, ...]) -> None:
    """It is told again and again that all is well, whichever way requests take and however few are allowed."""
    with supervised(tmp_path, manager, *more, watchdog=2.0) as gateway:
        manager.wait_for("WATCHDOG", 4)
        assert gateway.stop(signal.SIGTERM) == 0
        assert "does not answer itself" not in gateway.stderr
        assert "request refused" not in gateway.stderr


def test_the_watchdog_of_a_gateway_that_is_stuck(tmp_path: Path, manager: Manager) -> None:
    """When its event loop is blocked, it is told no more, for longer than systemd waits."""
    with supervised(tmp_path, manager, watchdog=2.0, program=[sys.executable, "-c", STUCK]) as gateway:
        manager.wait_for("WATCHDOG", 2)
        gateway.process.send_signal(signal.SIGUSR1)
        gateway.wait_for("stuck")
        assert manager.hears_nothing("WATCHDOG", 3.0)


def test_children_do_not_speak_for_it(tmp_path: Path, manager: Manager) -> None:
    """A server that it starts inherits neither the socket of the manager nor the watchdog nor what was passed."""
    said = tmp_path / "environ.json"
    (tmp_path / "child.py").write_text(ENVIRON)
    (tmp_path / "p.toml").write_text(
        f"""extends = ["base.toml"]
        [upstreams.child]
        type = "mcp"
        command = ["{sys.executable}", "{tmp_path / "child.py"}", "{said}"]
        """
    )
    with supervised(tmp_path, manager, "--profile", str(tmp_path / "p.toml"), watchdog=30) as gateway:
        manager.wait_for("READY")
        assert gateway.stop(signal.SIGTERM) == 0
    names = json.loads(said.read_text())
    assert [name for name in names if name.startswith(("NOTIFY_", "WATCHDOG_", "LISTEN_"))] == []


async def test_the_watchdog_during_a_drain(tmp_path: Path, manager: Manager, registry: Registry) -> None:
    """While requests under way are finished, all goes on being well."""
    asked, go_on = trio.Event(), trio.Event()
    varlet.hold(registry, asked, go_on)
    starting = partial(supervised, tmp_path, manager, watchdog=2.0, registry=registry.url)
    with await trio.to_thread.run_sync(starting) as gateway:
        await trio.to_thread.run_sync(manager.wait_for, "READY")
        await trio.to_thread.run_sync(gateway.wait_for, "  client ")
        async with (
            httpx2.AsyncClient(trust_env=False, timeout=60, headers=ACCEPT) as client,
            trio.open_nursery() as nursery,
        ):
            answers: list[httpx2.Response] = []

            async def ask() -> None:
                answers.append(await client.post(gateway.url, json=CALL))

            nursery.start_soon(ask)
            await asked.wait()
            gateway.process.send_signal(signal.SIGTERM)
            await trio.to_thread.run_sync(manager.wait_for, "STOPPING")
            await trio.to_thread.run_sync(manager.wait_for, "WATCHDOG", manager.count("WATCHDOG") + 3)
            go_on.set()
        assert answers[0].status_code == 200
        assert await trio.to_thread.run_sync(gateway.wait) == 0


def ping_unix(path: Path) -> int:
    with httpx2.Client(transport=httpx2.HTTPTransport(uds=str(path)), timeout=60) as client:
        return client.post("http://localhost/mcp", json=PING, headers=ACCEPT).status_code


def test_activation(tmp_path: Path) -> None:
    """The first connection is there before the gateway runs, and is answered; its socket is still there at the end."""
    mcp, admin = tmp_path / "mcp.sock", tmp_path / "admin.sock"
    activate = ["systemd-socket-activate", "-l", str(mcp), "-l", str(admin), "--fdname=mcp:admin"]
    environment = ("HOME", "CACHE_DIRECTORY", "GATEWAY__WARM__ON_START", "npm_config_registry", "LANG")
    activate += [word for name in environment for word in ("-E", name)]
    with Gateway(tmp_path, "serve", within=activate) as gateway:
        gateway.wait_for(f"Listening on {admin}")
        assert "gateway: " not in gateway.stderr
        assert ping_unix(mcp) == 200
        gateway.wait_for(f"at unix:{mcp}")
        gateway.wait_for(f"  admin     unix:{admin} (/healthz, /readyz)")
        with httpx2.Client(transport=httpx2.HTTPTransport(uds=str(admin)), timeout=60) as client:
            assert client.get("http://localhost/readyz").status_code == 200
        assert gateway.stop(signal.SIGTERM) == 0
        assert mcp.is_socket()


def test_a_passed_socket_that_fits_nothing(tmp_path: Path) -> None:
    """It is a sentence on stderr and exit code 1."""
    path = tmp_path / "s"
    activate = ["systemd-socket-activate", "-l", str(path), "--fdname=web", "-E", "HOME"]
    with Gateway(tmp_path, "serve", within=activate) as gateway, socket.socket(socket.AF_UNIX) as client:
        gateway.wait_for(f"Listening on {path}")
        client.connect(str(path))
        assert gateway.wait() == 1
        assert f"gateway: LISTEN_FDS: the socket web at unix:{path} was passed and fits nothing" in gateway.stderr


@contextmanager
def passed_to(folder: Path, listening: socket.socket, *arguments: str) -> Iterator[Gateway]:
    """A gateway that got a socket, as systemd would pass it."""
    number = listening.fileno()
    script = f'LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=mcp exec "$@" 3<&{number}'
    admin = ("--set", 'admin.bind=["127.0.0.1:0"]')
    started = partial(
        Gateway, folder, "serve", *admin, *arguments, within=["bash", "-c", script, "bash"], pass_fds=[number]
    )
    with started() as gateway:
        yield gateway


async def test_a_restart_loses_nothing(tmp_path: Path) -> None:
    """While the socket is held open, every request is answered, whether the gateway runs, ends or starts meanwhile."""
    done = trio.Event()
    note, noted = trio.open_memory_channel[int](1000)
    with closing(socket.create_server(("127.0.0.1", 0), backlog=128)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"

        async def ask() -> None:
            while not done.is_set():
                async with httpx2.AsyncClient(trust_env=False, timeout=90, headers=ACCEPT) as client:
                    note.send_nowait((await client.post(url, json=PING)).status_code)

        async def run_thrice() -> None:
            for turn in range(3):
                with passed_to(tmp_path, listening) as gateway:
                    await trio.to_thread.run_sync(gateway.wait_for, "  client ")
                    for _ in range(40):
                        assert await noted.receive() == 200
                    if turn == 2:
                        done.set()
                        await asking.wait()
                    assert await trio.to_thread.run_sync(gateway.stop) == 0

        asking = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_thrice)
            async with trio.open_nursery() as clients:
                for _ in range(4):
                    clients.start_soon(ask)
            asking.set()
    while noted.statistics().current_buffer_used:
        assert noted.receive_nowait() == 200
