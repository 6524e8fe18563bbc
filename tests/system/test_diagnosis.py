"""`gateway diagnose` on a gateway that runs: what it prints, and the overlay that it writes."""

from __future__ import annotations

import json
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trio

from gateway.profile.loader import load_profile
from tests.fakes.http_server import HttpServer, answer
from tests.system.processes import NOWHERE, Ended, Gateway, run

HEADERS = {"Accept": "application/json, text/event-stream"}
KEPT = 0.002
"""Seconds for which an answer is kept."""
PROFILE = """\
cache.disk.enabled = false
alerts.lag.warning = "10s"
[metrics]
resolution = "100ms"
interval = "1s"
history = "1m"
[strategies.short]
ttl = "2ms"
[strategies.long]
ttl = "1h"
[upstreams.api]
type = "http"
base_url = "{url}"
private_addresses = true
[tools.get]
description = "A thing."
strategy = "short"
[tools.get.fetch]
upstream = "api"
path = "thing"
"""


@pytest.fixture
async def gateway(tmp_path: Path, nursery: trio.Nursery) -> AsyncIterator[Gateway]:
    """One that answers everything, but keeps it for two milliseconds."""
    server = HttpServer()
    await nursery.start(server.serve)
    server.on("/thing", answer(b'{"is": "a thing"}'))
    (tmp_path / "p.toml").write_text(PROFILE.format(url=server.url))
    with await trio.to_thread.run_sync(lambda: Gateway.serving(tmp_path, "--profile", "./p.toml")) as gateway:
        yield gateway


async def ask(gateway: Gateway, times: int) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "get", "arguments": {}}}
    async with httpx2.AsyncClient(headers=HEADERS, trust_env=False) as http:
        for _ in range(times):
            assert (await http.post(gateway.url, json=call)).status_code == 200
            await trio.sleep(KEPT * 2)  # a fast machine would ask again before it is forgotten


async def diagnose(folder: Path, gateway: Gateway, *arguments: str) -> Ended:
    return await run(folder, "diagnose", "--url", gateway.admin, "--profile", "./p.toml", *arguments)


async def test_nothing_stands_out(gateway: Gateway, tmp_path: Path) -> None:
    """A gateway that nobody asks is well, and there is nothing to write."""
    ended = await diagnose(tmp_path, gateway, "--write", "after.toml")
    assert (ended.code, ended.out[:31]) == (0, "Nothing stands out in the last ")
    assert ended.err.endswith("gateway: there is nothing to change, nothing was written\n")
    assert not (tmp_path / "after.toml").exists()


async def test_what_costs_and_where_it_is_set(gateway: Gateway, tmp_path: Path) -> None:
    """By the API and as text: evidence, the change as TOML, and the line of every key that it sets."""
    await ask(gateway, 80)
    async with httpx2.AsyncClient(trust_env=False) as http:
        issues: list[dict[str, Any]] = (await http.get(f"{gateway.admin}/api/diagnosis")).json()["issues"]
        curves = (await http.get(f"{gateway.admin}/api/curves")).json()["curves"]
    (issue,) = issues
    assert (issue["name"], issue["subject"]) == ("low_hit_rate", "short")
    assert issue["change"]["strategies"]["short"]["ttl"] == "8ms"
    assert issue["now"] == {
        "strategies.short.ttl": "p.toml:8",
        "strategies.short.stale_while_revalidate": "default (strategies.short is at p.toml:7)",
    }
    assert [point["factor"] for point in curves["memory"]["points"]] == [0.5, 1, 2, 4]
    ended = await diagnose(tmp_path, gateway)
    assert ended.code == 0
    lines = [line.rstrip() for line in ended.out.splitlines()]
    assert lines[0] == f"1. low hit rate of short  worth {issue['worth']:.0f} of 100"
    assert '       ttl = "8ms"' in lines
    assert "       # strategies.short.ttl is set at p.toml:8" in lines
    assert all(len(line) <= 80 for line in lines if not line.startswith("       ")), "but TOML is not folded"
    ended = await diagnose(tmp_path, gateway, "--json")
    assert json.loads(ended.out)["issues"][0]["name"] == "low_hit_rate"


async def test_the_overlay(gateway: Gateway, tmp_path: Path) -> None:
    """It extends the profile, loads, and really changes what was said; elsewhere, too."""
    await ask(gateway, 80)
    file = tmp_path / "elsewhere" / "after.toml"
    ended = await diagnose(tmp_path, gateway, "--write", str(file))
    assert ended.code == 0
    assert ended.err.endswith(f"gateway: wrote {file}; look at it, and try it: gateway check --profile {file}\n")
    assert tomllib.loads(file.read_text())["strategies"]["short"]["ttl"] == "8ms"
    assert (await run(tmp_path, "check", "--profile", str(file))).code == 0
    after = load_profile(str(file), environ={}).profile
    assert (after.strategies["short"].ttl, after.strategies["long"].ttl) == (0.008, 3600)
    assert [path.name for path in file.parent.iterdir()] == ["after.toml"]


async def test_where_no_overlay_is_written(gateway: Gateway, tmp_path: Path) -> None:
    """Over the profile itself, over another file, or where no file can be; all is as it was."""
    (tmp_path / "mine.toml").write_text("# mine")
    before = (tmp_path / "p.toml").read_text()
    for file, expected in (
        ("p.toml", "p.toml is the profile itself; write the changes to another file"),
        ("after.json", "expected a file that ends in .toml, found after.json"),
        ("mine.toml", "mine.toml is there already, nothing was written; remove it, or name another file"),
        ("p.toml/after.toml", "can't write p.toml/after.toml: File exists"),
    ):
        await ask(gateway, 80)
        ended = await diagnose(tmp_path, gateway, "--write", file)
        assert (ended.code, ended.err.splitlines()[-1]) == (1, f"gateway: {expected}")
        assert (tmp_path / "p.toml").read_text() == before
        assert (tmp_path / "mine.toml").read_text() == "# mine"
        assert not (tmp_path / "after.json").exists()


async def test_the_profile_of_another_gateway(gateway: Gateway, tmp_path: Path) -> None:
    """What one gateway needs is not written over the profile of another."""
    await ask(gateway, 80)
    (tmp_path / "q.toml").write_text((tmp_path / "p.toml").read_text())
    arguments = ["--url", gateway.admin, "--profile", "./q.toml", "--write", "after.toml"]
    ended = await run(tmp_path, "diagnose", *arguments)
    assert ended.code == 1
    assert ended.err.endswith("p.toml; name that with --profile\n")


async def test_a_key_that_something_else_sets(gateway: Gateway, tmp_path: Path) -> None:
    """`--set` wins over the overlay, which is said."""
    await ask(gateway, 80)
    ended = await diagnose(tmp_path, gateway, "--set", "strategies.short.ttl=3ms", "--write", "after.toml")
    assert ended.code == 0
    assert "gateway: strategies.short.ttl is set by --set, which wins over the file\n" in ended.err


async def test_no_gateway_runs(tmp_path: Path) -> None:
    """A sentence, and exit code 1."""
    ended = await run(tmp_path, "diagnose", "--set", f'admin.bind=["{NOWHERE.removeprefix("http://")}"]')
    assert (ended.code, ended.out) == (1, "")
    assert "gateway: no gateway of this profile runs (127.0.0.1:9); --url says where else to ask" in ended.err
