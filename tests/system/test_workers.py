"""Several worker processes on one port: their sum, what reaches all of them, and what happens when one ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.system.processes import FREE_PORTS, START, Gateway, command, environment
from tests.system.reloads import Load, Profile, admin, ask, hang_up

WORKERS = 2


def serving(folder: Path, *more: str) -> tuple[Profile, Gateway]:
    profile = Profile(folder).write(server=f"workers = {WORKERS}")
    return profile, profile.serving(*more)


def until(condition: Callable[[], Any]) -> Any:
    """Wait for what other processes bring about."""
    deadline = time.monotonic() + START
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def workers(gateway: Gateway) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = admin(gateway, "/api/workers")[1]["workers"]
    return told


def all_serve(gateway: Gateway, restarts: int = 0) -> list[dict[str, Any]] | None:
    told = workers(gateway)
    enough = sum(each["restarts"] for each in told) >= restarts
    return told if enough and all(each["serves"] for each in told) else None


def post(gateway: Gateway, path: str, body: dict[str, Any]) -> Any:
    asking = urllib.request.Request(f"{gateway.admin}{path}", json.dumps(body).encode(), method="POST")
    asking.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(asking, timeout=START) as answer:
        return json.loads(answer.read())


def asked_of_each(gateway: Gateway, times: int = 40, **arguments: Any) -> list[str]:
    """Where the answers to one question came from, on many connections, so that every worker is asked."""
    found = []
    for _ in range(times):
        connection = HTTPConnection("127.0.0.1", gateway.port, timeout=START)
        found.append(ask(connection, **arguments)["_meta"]["gateway/cache"]["status"])
        connection.close()
    return found


def counted(gateway: Gateway, outcome: str) -> int:
    samples = admin(gateway, "/api/metrics")[1]["gateway_request_seconds"]["samples"]
    return int(sum(each["count"] for each in samples if each["labels"]["outcome"] == outcome))


def test_they_are_one_to_whoever_looks(tmp_path: Path) -> None:
    """Each answers on the same port, with tiers of its own; the admin site tells the sum."""
    _, gateway = serving(tmp_path)
    with gateway:
        found = asked_of_each(gateway)
        assert found.count("miss") == WORKERS  # once in each
        until(lambda: counted(gateway, "hit") + counted(gateway, "miss") == len(found))
        assert counted(gateway, "miss") == WORKERS
        _, stats = admin(gateway, "/api/cache/stats")
        assert stats["tiers"]["memory"]["entries"] == 2 * WORKERS  # a document and an answer, in each
        _, overview = admin(gateway, "/api/overview")
        assert overview["tiers"]["memory"]["limit"] == WORKERS * 256_000_000
        _, tools = admin(gateway, "/api/tools")
        assert tools["tools"][0]["calls"] == len(found)
        assert len(admin(gateway, "/api/cache/entries")[1]["entries"]) == 2
        assert admin(gateway, "/readyz")[1] == {"status": "ready", "tools": 1, "tiers": ["memory", "disk"]}
        with urllib.request.urlopen(f"{gateway.admin}/") as page:
            assert b"<title>" in page.read()
        assert gateway.stop() == 0


def test_what_is_one_workers_is_all_that_is_passed_on(tmp_path: Path) -> None:
    """No path leads round the routes to what only the supervisor asks of a worker."""
    _, gateway = serving(tmp_path)
    with gateway:
        for path in ("../../worker/numbers", "%2e%2e/%2e%2e/worker/numbers", "..%2f..%2fworker%2fnumbers", ".."):
            assert admin(gateway, f"/api/profiles/{path}")[0] == 404
        post(gateway, "/api/profiles", {"seconds": 1})
        with urllib.request.urlopen(f"{gateway.admin}/api/profiles/1.svg") as drawn:
            assert drawn.headers["Content-Type"].startswith("image/svg+xml")
        assert gateway.stop() == 0


def test_a_purge_reaches_all(tmp_path: Path) -> None:
    """Nobody gets what was purged from any of them, and each loads it once more."""
    _, gateway = serving(tmp_path)
    with gateway:
        asked_of_each(gateway)
        until(lambda: admin(gateway, "/api/cache/stats")[1]["tiers"]["disk"]["entries"] == 2 * WORKERS)
        purged = post(gateway, "/api/cache/purge", {"tool": "doc"})["purged"]
        assert purged == 2 * WORKERS  # the answer, in two tiers of each
        assert asked_of_each(gateway).count("miss") == WORKERS
        assert gateway.stop() == 0


def test_one_that_was_not_there_hears_of_a_purge(tmp_path: Path) -> None:
    """A worker that is killed and comes back has purged in its file what was purged meanwhile."""
    _, gateway = serving(tmp_path)
    with gateway:
        asked_of_each(gateway)
        until(lambda: admin(gateway, "/api/cache/stats")[1]["tiers"]["disk"]["entries"] == 2 * WORKERS)
        for each in workers(gateway):
            os.kill(each["pid"], signal.SIGKILL)
        post(gateway, "/api/cache/purge", {"tool": "doc"})
        until(lambda: all_serve(gateway, restarts=WORKERS))
        keys = [each["key"] for each in admin(gateway, "/api/cache/entries")[1]["entries"]]
        assert [key.partition(":")[0] for key in keys] == ["document"]
        assert asked_of_each(gateway).count("miss") == WORKERS
        assert gateway.stop() == 0


def test_one_that_dies_is_started_again(tmp_path: Path) -> None:
    """The other one answers meanwhile, and what was counted stays counted."""
    _, gateway = serving(tmp_path)
    with gateway:
        asked_of_each(gateway)
        until(lambda: counted(gateway, "hit") + counted(gateway, "miss") == 40)
        os.kill(workers(gateway)[0]["pid"], signal.SIGKILL)
        gateway.wait_for("a worker ended, it is started again")
        assert len(asked_of_each(gateway)) == 40
        until(lambda: all_serve(gateway, restarts=1))
        until(lambda: counted(gateway, "hit") + counted(gateway, "miss") == 80)
        assert gateway.stop() == 0


def test_one_that_is_started_again_has_the_profile_of_the_others(tmp_path: Path) -> None:
    """What its files say by then, right or wrong, is for a reload to take, and not for a worker that has died."""
    profile, gateway = serving(tmp_path)
    with gateway:
        profile.write("\nunknown = 1\n", about="another tool")
        os.kill(workers(gateway)[0]["pid"], signal.SIGKILL)
        until(lambda: all_serve(gateway, restarts=1))
        profile.write(about="yet another tool")
        hang_up(gateway, "done")
        os.kill(workers(gateway)[1]["pid"], signal.SIGKILL)
        profile.write(about="what nobody has reloaded")
        until(lambda: all_serve(gateway, restarts=2))
        for _ in range(20):
            connection = HTTPConnection("127.0.0.1", gateway.port, timeout=START)
            assert ask(connection, "tools/list")["tools"][0]["description"] == "yet another tool"
            connection.close()
        assert gateway.stop() == 0


def test_one_that_hangs_does_not_hold_a_stop_up(tmp_path: Path) -> None:
    """A worker that is stopped in its tracks is killed once its time is over; the gateway ends well."""
    profile = Profile(tmp_path).write(server=f"workers = {WORKERS}")
    with profile.serving("--set", 'server.drain_timeout="100ms"') as gateway:
        os.kill(workers(gateway)[1]["pid"], signal.SIGSTOP)
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(60) == 0
        assert "a worker hangs, it is killed" in gateway.stderr


def test_reloads_under_load(tmp_path: Path) -> None:
    """One worker after the other takes the new profile; no request fails; a bad profile changes nothing."""
    profile, gateway = serving(tmp_path)
    with gateway:
        with Load(gateway) as load:
            for number in range(10):
                profile.write(about=f"tool {number}", max_size=f"{number + 1}MB")
                hang_up(gateway, "done")
            profile.write("\nunknown = 1\n")
            hang_up(gateway, "failed")
        assert load.lost == []
        for _ in range(20):
            connection = HTTPConnection("127.0.0.1", gateway.port, timeout=START)
            assert ask(connection, "tools/list")["tools"][0]["description"] == "tool 9"
            connection.close()
        profile.write(server="workers = 3")
        assert admin(gateway, "/api/reload", "POST")[1]["restart"] == ["server.workers"]
        assert gateway.stop() == 0


def test_all_take_a_profile_or_none(tmp_path: Path) -> None:
    """Where the second worker can't take it, the first one goes back to what it had."""
    profile, gateway = serving(tmp_path)
    with gateway:
        (tmp_path / "new.worker-2.db").mkdir()
        profile.write(about="another tool")
        profile.path.write_text(profile.path.read_text().replace("cache.db", "new.db"))
        status, told = admin(gateway, "/api/reload", "POST")
        assert (status, told["error"].partition(":")[0]) == (409, "worker 2")
        for _ in range(20):
            connection = HTTPConnection("127.0.0.1", gateway.port, timeout=START)
            assert ask(connection, "tools/list")["tools"][0]["description"] == "a tool"
            connection.close()
        assert gateway.stop() == 0


def test_a_stop_under_load(tmp_path: Path) -> None:
    """After SIGTERM every request that had begun is answered, by whichever worker had it."""
    _, gateway = serving(tmp_path)
    with gateway:
        with Load(gateway, clients=8) as load:
            while load.counts["answered"] < 500:
                time.sleep(0.01)
            load.stopping = time.monotonic()
            gateway.process.send_signal(signal.SIGTERM)
            assert gateway.wait() == 0
        assert load.lost == []


def test_they_end_with_their_supervisor(tmp_path: Path) -> None:
    """Whoever kills the supervisor leaves no worker behind."""
    _, gateway = serving(tmp_path)
    with gateway:
        port = gateway.port
        gateway.process.kill()
        gateway.process.wait()

        def refused() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) != 0

        assert until(refused)


def test_one_that_can_not_start_ends_all(tmp_path: Path) -> None:
    """One that ends before it has ever served is told as what it is, and not tried for ever."""
    profile = Profile(tmp_path).write(server=f"workers = {WORKERS}")
    with Gateway(tmp_path, "serve", *FREE_PORTS, "--profile", str(profile.path)) as gateway:
        supervisor = psutil.Process(gateway.process.pid)
        until(supervisor.children)[0].kill()
        assert gateway.process.wait(60) == 1
        assert "could not start (server.workers)" in gateway.stderr


def test_workers_import_nothing_from_where_they_are_started(tmp_path: Path) -> None:
    """A module that lies in the working directory is no part of a worker, as it is none of what started it."""
    profile = Profile(tmp_path).write(server=f"workers = {WORKERS}")
    (tmp_path / "trio.py").write_text("raise SystemExit(3)")
    script = str(Path(sys.executable).with_name("gateway"))
    with Gateway(tmp_path, "serve", *FREE_PORTS, "--profile", str(profile.path), program=[script]) as gateway:
        gateway.wait_for("  client ")
        assert gateway.stop() == 0


@pytest.mark.parametrize("told", ["{", '{"number": 1}', "7"])
def test_only_a_supervisor_makes_workers(told: str, tmp_path: Path) -> None:
    """A variable that something else has set is refused with a sentence."""
    ended = subprocess.run(
        command("serve", "--profile", str(Profile(tmp_path).write().path)),
        cwd=tmp_path,
        env={**environment(tmp_path), "GATEWAY_WORKER": told},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith(b"gateway: GATEWAY_WORKER: is set by a gateway for its workers")
