from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import trio

from gateway.assembly import open_gateway
from gateway.profile.loader import load_profile
from gateway.profile.preflight import Preflight
from gateway.profile.profile import Profile
from gateway.watch.preflight.model import Point
from gateway.watch.preflight.probes import disk_room, report, upstreams
from tests.fakes import varlet
from tests.fakes.http_server import HttpServer, answer, silent
from tests.fakes.mcp_rig import Child
from tests.fakes.registry import Registry


def written(folder: Path, content: Any) -> Preflight:
    """A report of a soak, named by the section."""
    (folder / "soak.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return Preflight.model_validate({"soak_report": str(folder / "soak.json"), "max_age": "10d"})


GOOD = {"kind": "soak", "passed": True, "summary": "passed: flat", "finished_at": 0.0}


@pytest.mark.parametrize(
    ("age", "verdict", "found"),
    [
        (3 * 3600 + 60, "pass", "passed: flat (3h ago)"),
        (-100, "pass", "passed: flat (0s ago)"),
        (11 * 86400 + 60, "warn", "it passed, but is older than 10d: passed: flat (11d ago)"),
    ],
)
def test_the_age_of_a_report(age: float, verdict: str, found: str, tmp_path: Path) -> None:
    """Young enough, from a clock that is ahead, and too old."""
    point = report(written(tmp_path, {**GOOD, "finished_at": time.time() - age}), "soak")
    assert (point.verdict.value, point.found) == (verdict, found)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({**GOOD, "kind": "load"}, "{file} is the report of something else (load)"),
        ({**GOOD, "kind": "\x1b[2J"}, "{file} is the report of something else (?[2J)"),
        ({"kind": "soak"}, "{file} is no report of this kind"),
        ([1], "{file} is no report of this kind"),
        ("{", "{file} is no report of this kind"),
        ({**GOOD, "finished_at": "yesterday"}, "{file} is no report of this kind"),
    ],
)
def test_what_is_no_such_report(content: Any, found: str, tmp_path: Path) -> None:
    """Of another kind, or no report at all."""
    point = report(written(tmp_path, content), "soak")
    assert (point.verdict.value, point.found) == ("fail", found.format(file=tmp_path / "soak.json"))
    assert point.key == ("preflight", "soak_report")


@pytest.mark.parametrize("passed", [False, "false", 1])
def test_a_test_that_did_not_pass(passed: object, tmp_path: Path) -> None:
    """Whatever is not plainly true."""
    point = report(written(tmp_path, {**GOOD, "passed": passed, "finished_at": time.time()}), "soak")
    assert (point.verdict.value, point.found) == ("fail", "it did not pass: passed: flat (0s ago)")


def test_no_report(tmp_path: Path) -> None:
    """None is named, which warns; or none is there, which fails."""
    assert report(Preflight(), "load").verdict.value == "warn"
    assert "gateway load --report FILE" in report(Preflight(), "load").remedy
    point = report(Preflight(load_report=str(tmp_path / "none.json")), "load")
    assert (point.verdict.value, point.found) == (
        "fail",
        f"{tmp_path / 'none.json'} can't be read: No such file or directory",
    )


def profile(folder: Path, text: str) -> Profile:
    (folder / "p.toml").write_text(text)
    return load_profile("p", environ={}, cwd=folder, folders=[folder]).profile


def test_disk_room(tmp_path: Path) -> None:
    """Whether the tier and the reserve fit, in a folder that is not made yet, too."""
    text = 'cache.disk = {{ path = "{}", max_size = "{}" }}\npreflight.disk_room = "1KB"'
    file = tmp_path / "new" / "folder" / "cache.db"
    point = disk_room(profile(tmp_path, text.format(file, "10KB")))
    assert (point.verdict.value, point.key) == ("pass", ("cache", "disk", "max_size"))
    assert point.found.endswith(f"GB are free in {tmp_path}, the tier may take 10KB and 1KB are to stay free")
    assert not file.parent.exists()
    assert disk_room(profile(tmp_path, text.format(file, "8000TB"))).verdict.value == "fail"
    assert disk_room(profile(tmp_path, "cache.disk.enabled = false")).found == "there is no disk tier"


async def probed(
    folder: Path, text: str, environ: dict[str, str] | None = None, *, patience: str = "20s"
) -> dict[str, Point]:
    """Every upstream of a profile, asked."""
    head = f"""
    cache.disk.enabled = false
    federation.pins = "{folder}/pins"
    preflight.patience = "{patience}"
    """
    about = profile(folder, head + text)
    async with open_gateway(about, environ or {}, ahead=False) as gateway:
        servers = {server.name: server for server in gateway.catalogue.federation.servers}
        points = [point async for point in upstreams(about, gateway.catalogue.documents, servers)]
    return {point.key[1]: point for point in points}


HTTP = """
[upstreams.api]
type = "http"
private_addresses = true
base_url = "{}"
"""


async def test_an_http_server(tmp_path: Path, nursery: trio.Nursery) -> None:
    """It takes connections, or its port is dead."""
    server = HttpServer()
    await nursery.start(server.serve)
    point = (await probed(tmp_path, HTTP.format(server.url)))["api"]
    assert (point.verdict.value, point.found) == ("pass", f"127.0.0.1:{server.port} takes connections")
    point = (await probed(tmp_path, HTTP.format("http://127.0.0.1:9")))["api"]
    assert point.verdict.value == "fail"
    assert point.found.startswith("no connection to 127.0.0.1:9: ")


VERSIONS = HTTP + '[upstreams.api.versions]\nurl = "{}/releases"\nselect = "@"\n'


async def test_a_list_of_releases(tmp_path: Path, nursery: trio.Nursery) -> None:
    """Where there is to be one it is asked for."""
    server = HttpServer()
    await nursery.start(server.serve)
    text = VERSIONS.format(server.url, server.url)
    server.on("/releases", answer(b'["1.0.0"]'))
    point = (await probed(tmp_path, text))["api"]
    assert (point.verdict.value, point.found) == ("pass", "it lists its releases")
    server.on("/releases", answer(b"", status="404 Not Found"))
    point = (await probed(tmp_path, text))["api"]
    assert point.verdict.value == "fail"
    assert point.found.startswith("its releases can't be listed: ")


async def test_patience(tmp_path: Path, nursery: trio.Nursery) -> None:
    """Who never answers is waited for no longer than the profile says."""
    server = HttpServer()
    await nursery.start(server.serve)
    server.on("/releases", silent)
    with trio.fail_after(20):
        point = (await probed(tmp_path, VERSIONS.format(server.url, server.url), patience="200ms"))["api"]
    assert (point.verdict.value, point.found) == ("fail", "no answer within 200ms")


async def test_an_mcp_server(tmp_path: Path) -> None:
    """There is a session with it, or it can't be started, and why."""
    child = Child(tmp_path / "child")
    child.lists()
    text = '[upstreams.{}]\ntype = "mcp"\nstart_patience = "0s"\ncommand = {}\n'
    points = await probed(tmp_path, text.format("there", child.command) + text.format("gone", '["/nowhere/server"]'))
    assert (points["there"].verdict.value, points["there"].found) == ("pass", "there is a session with it")
    assert points["gone"].verdict.value == "fail"
    assert points["gone"].found.startswith("it is not there: ")


async def test_a_folder_and_a_search(tmp_path: Path) -> None:
    """The folder is there or not; a search is as reachable as what it searches."""
    (tmp_path / "docs").mkdir()
    text = '[upstreams.{0}]\ntype = "files"\nroot = "{1}/{0}"\n'
    search = """
    [strategies.s]
    ttl = "1m"
    [upstreams.words]
    type = "search"
    upstream = "docs"
    strategy = "s"
    documents = [{ path = "{page}.md" }]
    """
    points = await probed(tmp_path, text.format("docs", tmp_path) + text.format("gone", tmp_path) + search)
    assert {name: (point.verdict.value, point.found) for name, point in points.items()} == {
        "docs": ("pass", "the folder is there"),
        "gone": ("fail", f"{tmp_path}/gone is no folder"),
        "words": ("pass", "it is made of docs"),
    }


async def test_a_package(tmp_path: Path, nursery: trio.Nursery) -> None:
    """Its registry lists releases, or there is no such package."""
    registry = Registry()
    await nursery.start(registry.serve)
    varlet.publish(registry)
    text = '[upstreams.{}]\ntype = "npm"\npackage = "{}"\n'
    environ = {"npm_config_registry": registry.url, "HOME": str(tmp_path), "PATH": ""}
    points = await probed(tmp_path, text.format("there", "@varlet/ui") + text.format("gone", "no-such"), environ)
    assert points["there"].found == "it lists its releases"
    assert points["gone"].verdict.value == "fail"
