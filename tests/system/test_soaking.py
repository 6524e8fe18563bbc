"""`gateway soak` on a gateway that runs: three minutes of mixed load leave nothing behind, and growth is found."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from gateway.profile.preflight import Preflight
from gateway.watch.preflight.probes import report
from tests.fakes.http_server import HttpServer, Request, Script, answer
from tests.system.processes import NOWHERE, Ended, Gateway, command, environment, run

PROFILE = """\
cache.disk.path = "{folder}/cache.db"
cache.memory.max_size = "20MB"
[strategies.s]
ttl = "5s"
stale_while_revalidate = "1s"
[upstreams.api]
type = "http"
base_url = "{url}"
private_addresses = true
rate_limit.max = 1_000_000
[tools.get]
description = "A thing."
strategy = "s"
[tools.get.input]
required = ["name"]
properties.name = {{ type = "string" }}
[tools.get.fetch]
upstream = "api"
path = "things/{{name}}"
[tools.all]
description = "Everything."
strategy = "s"
fetch = {{ upstream = "api", path = "all" }}
[[warm.calls]]
tool = "get"
each = {{ name = [{names}] }}
"""


class Things(HttpServer):
    """Has everything, in two kilobytes; and remembers nothing of it."""

    def script_for(self, request: Request) -> Script:
        self.requests.clear()
        return answer(json.dumps({"is": request.target, "filling": "x" * 2000}).encode())


@contextmanager
def serving(folder: Path, url: str, more: str = "") -> Iterator[Gateway]:
    names = ", ".join(f'"n{number}"' for number in range(40))
    (folder / "base.toml").write_text(PROFILE.format(folder=folder, url=url, names=names))
    (folder / "p.toml").write_text(f'extends = ["base.toml"]\n{more}')
    with Gateway.serving(folder, "--profile", "./p.toml") as gateway:
        yield gateway


async def soak(folder: Path, gateway: Gateway, *arguments: str, pause: float = 0.05) -> Ended:
    where = ["--url", gateway.admin, "--mcp", gateway.url, "--profile", "./p.toml"]
    ended = await trio.run_process(
        command("soak", *where, "--connections", "4", "--pause", str(pause), *arguments),
        cwd=folder,
        env=environment(folder),
        capture_stdout=True,
        capture_stderr=True,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode())


@pytest.fixture
async def things(nursery: trio.Nursery) -> Things:
    server = Things()
    await nursery.start(server.serve)
    return server


@pytest.mark.long
@pytest.mark.timeout(420)
async def test_three_minutes(tmp_path: Path, things: Things) -> None:
    """Memory and descriptors are flat, nothing failed, and the report is one that the list before a release takes."""
    with serving(tmp_path, things.url) as gateway:
        ended = await soak(tmp_path, gateway, "--minutes", "3", "--report", "soak.json", pause=0.1)
        assert (ended.code, ended.err) == (0, ""), ended.out
        assert gateway.stop() == 0
    assert ended.out.startswith("passed: ")
    about = json.loads((tmp_path / "soak.json").read_text())
    assert about["outcomes"]["ok"] > 1000
    assert about["outcomes"]["refused"] > 10
    assert about["memory_beside_the_tier"]["slope"] < about["memory_beside_the_tier"]["allowed"]
    print(about["summary"])
    assert about["finished_at"] <= time.time()
    point = report(Preflight(soak_report=str(tmp_path / "soak.json")), "soak")
    assert (point.verdict.value, point.name) == ("pass", "leak test")


async def test_growth_is_found(tmp_path: Path, things: Things) -> None:
    """Ten samples a second are kept for ten minutes: within the first one, memory grows."""
    keeping = '[metrics]\nresolution = "100ms"\nhistory = "10m"\n'
    with serving(tmp_path, things.url, keeping) as gateway:
        arguments = ["--minutes", "0.3", "--growth", "0.01", "--report", "soak.json"]
        ended = await soak(tmp_path, gateway, *arguments)
    assert ended.code == 1, ended.out
    assert ended.out.startswith("FAILED: ")
    assert json.loads((tmp_path / "soak.json").read_text())["passed"] is False


async def test_answers_that_fail_are_found(tmp_path: Path) -> None:
    """An upstream that is down is no load to rely on."""
    with serving(tmp_path, NOWHERE, "upstreams.api.retries = 0") as gateway:
        ended = await soak(tmp_path, gateway, "--minutes", "0.2", "--growth", "1000")
    assert ended.code == 1, ended.out
    assert "FAILED: " in ended.out


async def test_where_no_soak_can_be(tmp_path: Path, things: Things) -> None:
    """No gateway, no MCP at the address, or no time: a sentence at once."""
    with serving(tmp_path, things.url) as gateway:
        where = ["--url", gateway.admin, "--profile", "./p.toml"]
        ended = await run(tmp_path, "soak", *where, "--mcp", f"{NOWHERE}/mcp")
        assert ended.code == 1
        assert f"gateway: no MCP server answers at {NOWHERE}/mcp: " in ended.err
    ended = await run(tmp_path, "soak", "--url", NOWHERE)
    assert ended.code == 1
    assert f"gateway: no gateway answers at {NOWHERE}: " in ended.err
    assert (await run(tmp_path, "soak", "--minutes", "0.1")).code != 0
