"""`gateway check --preflight` as a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from tests.fakes.http_server import HttpServer
from tests.system.processes import Ended, run

PROFILE = """\
cache.disk = {{ path = "{folder}/cache.db", max_size = "256MB" }}
preflight.disk_room = "1KB"
logging = {{ format = "json", level = "debug" }}
notifications.command.argv = ["page"]
[alerts]
response_time.warning = "1s"
error_rate.warning = "1%"
hit_rate.warning = "50%"
memory.warning = "1GB"
[strategies.s]
ttl = "1m"
stale_if_error = "1h"
[upstreams.api]
type = "http"
base_url = "{url}"
private_addresses = true
[tools.t]
description = "A thing."
strategy = "s"
fetch = {{ upstream = "api", path = "a" }}
"""


@pytest.fixture
async def server(nursery: trio.Nursery) -> HttpServer:
    server = HttpServer()
    await nursery.start(server.serve)
    return server


async def preflight(folder: Path, text: str, *arguments: str) -> Ended:
    (folder / "p.toml").write_text(text)
    return await run(folder, "check", "--profile", "./p.toml", "--preflight", *arguments)


async def test_what_is_ready_but_for_its_tests(tmp_path: Path, server: HttpServer) -> None:
    """Warnings do not fail it, unless they are to; each point has its line, and no log line is among them."""
    text = PROFILE.format(folder=tmp_path, url=server.url)
    ended = await preflight(tmp_path, text)
    assert (ended.code, ended.err) == (0, "")
    lines = [line.rstrip() for line in ended.out.splitlines()]
    assert lines[-1] == "p: 13 pass, 3 warn, 0 fail"
    assert max(map(len, lines)) <= 80
    assert lines[1:3] == ["pass  cache: memory of 256MB, disk of 256MB", "      p.toml:1 cache"]
    assert lines[lines.index('warn  logging: every detail is logged; level = "info" is enough') + 1] == (
        "      p.toml:3 logging.level"
    )
    assert f"pass  upstream api: 127.0.0.1:{server.port} takes connections" in lines
    assert not (tmp_path / "cache.db").exists(), "the file is left to the gateway"
    assert (await preflight(tmp_path, text, "--strict")).code == 1


async def test_what_is_not_ready(tmp_path: Path) -> None:
    """One point that fails is enough."""
    ended = await preflight(tmp_path, PROFILE.format(folder=tmp_path, url="http://127.0.0.1:9"))
    assert (ended.code, ended.err) == (1, "")
    assert "fail  upstream api: no connection to 127.0.0.1:9:" in ended.out
    assert ended.out.endswith("p: 12 pass, 3 warn, 1 fail\n")


async def test_a_profile_with_faults(tmp_path: Path) -> None:
    """There is no list to go through."""
    ended = await preflight(tmp_path, "cache.pool_size = 0")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.endswith("p.toml: 1 fault\n")
