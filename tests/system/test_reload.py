"""A gateway whose profile changes while it is asked: nothing is lost, and what can't be used changes nothing."""

from __future__ import annotations

import json
import signal
import socket
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import trio
from mcp.client.client import Client
from mcp.client.subscriptions import ToolsListChanged

from tests.system.corpus import http as request_of
from tests.system.corpus import rpc
from tests.system.fronted import read_answer
from tests.system.processes import Gateway
from tests.system.reloads import Load, Profile, admin, ask, hang_up, reloads
from tests.system.test_stdio import HELLO, request

pytestmark = [
    # The SDK's client leaves the generators of its event streams to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning"),
]


def described(connection: HTTPConnection) -> str:
    """How the tool is described."""
    description: str = ask(connection, "tools/list")["tools"][0]["description"]
    return description


@pytest.mark.parametrize(("front", "times"), [("true", 100), ("false", 20)])
def test_reloads_under_load(front: str, times: int, tmp_path: Path) -> None:
    """Each changes a tool, a strategy and an upstream, on SIGHUP; no request fails, and what was kept is kept."""
    profile = Profile(tmp_path).write()
    with profile.serving("--set", f"server.front={front}") as gateway:
        with Load(gateway) as load:
            for number in range(times):
                profile.write(about=f"tool {number}", ttl=f"{number + 1}h", max_size=f"{number + 1}MB")
                hang_up(gateway, "done")
        assert load.lost == []
        assert load.counts["answered"] > 100
        connection = HTTPConnection("127.0.0.1", gateway.port)
        assert described(connection) == f"tool {times - 1}"
        assert ask(connection)["_meta"]["gateway/cache"]["status"] == "hit"
        assert (reloads(gateway, "done"), reloads(gateway, "failed")) == (times, 0)
        connection.close()
        assert gateway.stop() == 0


def test_a_hundred_reloads_of_a_bad_profile(tmp_path: Path) -> None:
    """Each is refused with the place of the fault; the profile from before is served throughout."""
    profile = Profile(tmp_path).write()
    with profile.serving() as gateway:
        with Load(gateway) as load:
            for number in range(100):
                profile.write(
                    "\nunknown = 1\n" if number % 2 else "\n[tools.other]\nstrategy = 'nobody'\n", about="bad"
                )
                hang_up(gateway, "failed")
        assert load.lost == []
        _, last = admin(gateway, "/api/reload")
        assert "changing.toml:" in last["error"]
        assert "unknown" in last["error"]
        connection = HTTPConnection("127.0.0.1", gateway.port)
        assert described(connection) == "a tool"
        profile.write(about="good again")
        hang_up(gateway, "done")
        assert described(connection) == "good again"
        connection.close()
        assert gateway.stop() == 0


@pytest.mark.parametrize("front", ["true", "false"])
def test_a_stop_under_load(front: str, tmp_path: Path) -> None:
    """After SIGTERM every request that had begun is answered, and the gateway ends well."""
    with Profile(tmp_path).write().serving("--set", f"server.front={front}") as gateway:
        with Load(gateway, clients=8) as load:
            while load.counts["answered"] < 500:
                time.sleep(0.01)
            load.stopping = time.monotonic()
            gateway.process.send_signal(signal.SIGTERM)
            assert gateway.wait() == 0
        assert load.lost == []


def test_the_admin_api(tmp_path: Path) -> None:
    """It reloads, tells what changed, and refuses what can't be used with the reason."""
    profile = Profile(tmp_path).write()
    with profile.serving() as gateway:
        assert admin(gateway, "/api/reload")[1]["at"] is None
        profile.write(about="other words")
        status, told = admin(gateway, "/api/reload", "POST")
        change = {"key": "tools.doc.description", "before": '"a tool"', "after": '"other words"'}
        assert (status, told["changes"], told["restart"]) == (200, [change], [])
        profile.write("\nunknown = 1\n")
        status, told = admin(gateway, "/api/reload", "POST")
        assert status == 409
        assert "unknown" in told["error"]
        assert admin(gateway, "/api/reload")[1]["error"] == told["error"]
        profile.write(max_size="2MB")
        assert admin(gateway, "/api/reload", "POST")[0] == 200
        assert admin(gateway, "/api/reload", "POST")[1]["changes"] == []
        assert gateway.stop() == 0


def test_the_log_is_as_the_profile_in_force_has_it(tmp_path: Path) -> None:
    """Requests are told from the level on that it says, and a reload that fails does not change it."""
    lines = "\n[logging]\nrequests = '100%'\nlevel = '{}'\nformat = 'json'\n"
    profile = Profile(tmp_path).write(lines.format("info"))
    with profile.serving() as gateway:
        connection = HTTPConnection("127.0.0.1", gateway.port)
        ask(connection)
        gateway.wait_for('"event":"request"')
        profile.write(lines.format("warning"))
        assert admin(gateway, "/api/reload", "POST")[0] == 200
        told = gateway.stderr.count('"event":"request"')
        ask(connection)
        profile.write(lines.format("info") + "[tools.doc.fetch2]\n")
        assert admin(gateway, "/api/reload", "POST")[0] == 409
        ask(connection)
        profile.write(lines.format("debug"), server="")
        assert admin(gateway, "/api/reload", "POST")[0] == 200
        assert gateway.stderr.count('"event":"request"') == told
        ask(connection)
        gateway.wait_for('"event":"request"', told + 1)
        connection.close()
        assert gateway.stop() == 0


def test_what_takes_a_restart_is_told(tmp_path: Path) -> None:
    """A key that a process can't change while it runs is named, and everything else takes effect."""
    profile = Profile(tmp_path).write()
    with profile.serving() as gateway:
        profile.write("[opentelemetry]\nendpoint = 'http://127.0.0.1:9'\n", about="other words")
        _, told = admin(gateway, "/api/reload", "POST")
        assert told["restart"] == ["opentelemetry"]
        connection = HTTPConnection("127.0.0.1", gateway.port)
        assert described(connection) == "other words"
        connection.close()
        assert gateway.stop() == 0


def test_other_addresses(tmp_path: Path) -> None:
    """What is bound anew is served beside connections that are open; what can't be bound leaves all as it was."""
    profile = Profile(tmp_path).write()
    socket_path = tmp_path / "mcp.sock"
    with profile.serving() as gateway:
        old = HTTPConnection("127.0.0.1", gateway.port)
        assert described(old) == "a tool"
        profile.write(server=f"sockets = ['{socket_path}', '/nowhere/at/all.sock']")
        status, told = admin(gateway, "/api/reload", "POST")
        assert status == 409
        assert "server.sockets: can't listen on /nowhere/at/all.sock" in told["error"]
        assert not socket_path.exists()
        profile.write(server=f"sockets = ['{socket_path}']")
        assert admin(gateway, "/api/reload", "POST")[0] == 200
        assert socket_path.is_socket()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(socket_path))
            client.sendall(request_of(rpc("ping")))
            answer = read_answer(client, bytearray())
        assert answer is not None
        assert answer.status == 200
        profile.write(server="")
        assert admin(gateway, "/api/reload", "POST")[0] == 200
        assert not socket_path.exists()
        assert described(old) == "a tool"
        old.close()
        assert gateway.stop() == 0


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    """Where the profile wants that, also when an editor puts another file in its place."""
    profile = Profile(tmp_path).write()
    with profile.serving("--set", "server.reload_on_change=true") as gateway:
        for number in (1, 2, 3):
            profile.write(about=f"words {number}")
            gateway.wait_for("profile reloaded", number)
        profile.write("\nunknown = 1\n")
        gateway.wait_for("reload failed")
        assert gateway.stop() == 0


async def test_a_listening_client_is_told_over_http(tmp_path: Path) -> None:
    """tools/list_changed goes out when a reload changed a tool, and what is listed then is new."""
    profile = Profile(tmp_path).write()
    with await trio.to_thread.run_sync(profile.serving) as gateway:
        async with Client(gateway.url, mode="2026-07-28") as client, client.listen(tools_list_changed=True) as events:
            profile.write(about="other words")
            await trio.to_thread.run_sync(hang_up, gateway, "done")
            with trio.fail_after(30):
                async for event in events:
                    assert isinstance(event, ToolsListChanged)
                    break
            assert (await client.list_tools()).tools[0].description == "other words"
        assert await trio.to_thread.run_sync(gateway.stop) == 0


def test_an_agent_is_told_over_stdio(tmp_path: Path) -> None:
    """A local agent whose profile is being written sees its tools change: told, and listed anew."""
    profile = Profile(tmp_path).write(server="reload_on_change = true")
    with Gateway(tmp_path, "stdio", "--profile", str(profile.path), pipes=True) as gateway:

        def say(message: dict[str, Any]) -> None:
            gateway.stdin.write(json.dumps(message).encode() + b"\n")
            gateway.stdin.flush()

        def hear(what: object) -> dict[str, Any]:
            for line in gateway.stdout:
                message: dict[str, Any] = json.loads(line)
                if what in (message.get("id"), message.get("method")):
                    return message
            raise AssertionError(gateway.stderr)

        for message in HELLO:
            assert isinstance(message, dict)
            say(message)
        hear("hello")
        say(request(1, "tools/call", name="doc", arguments={}))
        hear(1)  # now the gateway is open
        profile.write(about="other words")
        hear("notifications/tools/list_changed")
        say(request(2, "tools/list"))
        assert hear(2)["result"]["tools"][0]["description"] == "other words"
        say(request(3, "tools/call", name="doc", arguments={}))
        assert hear(3)["result"]["_meta"]["gateway/cache"]["status"] == "hit"
        gateway.stdin.close()
        assert gateway.wait() == 0
