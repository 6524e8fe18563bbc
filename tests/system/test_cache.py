"""`gateway cache`, on a running gateway and on the file alone, and the admin API that it speaks."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trio

from tests.fakes import varlet
from tests.fakes.registry import Registry
from tests.system.processes import NOWHERE, START, Gateway, run

KEPT = 6
"""Entries of a cache that two calls have warmed: their answers, the releases, and the files that came along."""
QUICKLY = ["--set", "upstream_defaults.retries=0"]


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose cache file holds the props of two components, to be copied."""
    folder = tmp_path_factory.mktemp("warm")

    async def fill() -> None:
        registry = Registry()
        varlet.publish(registry)
        async with trio.open_nursery() as nursery:
            await nursery.start(registry.serve)
            for name in ("button", "input"):
                ended = await run(folder, "call", "get_component_props", f"name={name}", registry=registry.url)
                assert ended.code == 0, ended.err
            nursery.cancel_scope.cancel()

    trio.run(fill)
    return folder


@pytest.fixture
def warmed(tmp_path: Path, warm: Path) -> Path:
    """A folder of the test's own whose cache file holds the props of two components."""
    shutil.copytree(warm, tmp_path, dirs_exist_ok=True)
    return tmp_path


async def cache(folder: Path, *arguments: str, registry: str = NOWHERE) -> tuple[int, str, str]:
    """A `gateway cache` command on a port where no gateway listens; its code, stdout and stderr."""
    away = ["--set", 'admin.bind=["127.0.0.1:9"]', *QUICKLY]
    ended = await run(folder, "cache", *arguments, *away, registry=registry)
    return ended.code, ended.out, ended.err


async def test_the_file_is_listed_and_shown(warmed: Path) -> None:
    """Keys, sizes, ages and tags of what is on disk; one entry with its payload."""
    code, out, err = await cache(warmed, "ls", "result:*", "--json")
    assert code == 0
    assert "no gateway runs on it, working on" in err
    entries = json.loads(out)["entries"]
    assert [("button" in entry["key"], "component:button" in entry["tags"]) for entry in entries] == [
        (True, True),
        (False, False),
    ]
    code, out, _ = await cache(warmed, "get", entries[0]["key"])
    assert code == 0
    assert json.loads(json.loads(out)["payload"])["structuredContent"]["name"] == "var-button"
    code, out, _ = await cache(warmed, "ls")
    assert "high   result:get_component_props@" in out


async def test_a_purge_of_the_file_stays(warmed: Path, registry: Registry) -> None:
    """Purged by tag: the next process has to load again, and everything else is still there."""
    code, out, _ = await cache(warmed, "purge", "--tag", "component:button")
    assert (code, out) == (0, "1 entries purged\n")
    call = partial(run, warmed, "call", "get_component_props", registry=registry.url)
    statuses = [(await call(f"name={name}")).result["_meta"]["gateway/cache"]["status"] for name in ("button", "input")]
    assert statuses == ["miss", "hit"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--tag", "component:nothing"], "gateway: nothing matched; `gateway cache ls` shows keys and tags"),
        ([], "gateway: expected exactly one of key, tag, glob, tool, upstream, strategy and all"),
        (["--all", "--tag", "t"], "gateway: expected exactly one of key, tag, glob, tool, upstream, strategy and all"),
        (["--glob", ""], "gateway: glob: expected 1 to 512 characters on one line"),
        (["--glob", "a\nb"], "gateway: glob: expected 1 to 512 characters on one line"),
    ],
)
async def test_a_purge_that_makes_no_sense(warmed: Path, arguments: list[str], expected: str) -> None:
    """An unknown tag, no selector, two, or a bad glob: a sentence, exit code 1, and nothing is lost."""
    code, _, err = await cache(warmed, "purge", *arguments)
    assert (code, err.splitlines()[-1]) == (1, expected)
    assert len((await cache(warmed, "ls"))[1].splitlines()) == KEPT


async def test_a_cache_is_taken_to_an_offline_machine(warmed: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Exported here, imported there: answered from disk without any upstream."""
    file = warmed / "cache.export"
    assert (await cache(warmed, "export", str(file)))[0] == 0
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    code, out, _ = await cache(elsewhere, "import", str(file))
    assert (code, json.loads(out)["imported"]) == (0, KEPT)
    ended = await run(elsewhere, "call", "get_component_props", "name=button")
    assert ended.result["_meta"]["gateway/cache"]["tier"] == "disk"


@pytest.mark.parametrize("how", ["truncated", "foreign", "absent"])
async def test_an_import_that_can_not_be_used(warmed: Path, how: str) -> None:
    """A truncated, foreign or absent file is refused in one sentence, and nothing is lost."""
    file = warmed / "cache.export"
    if how == "truncated":
        await cache(warmed, "export", str(file))
        file.write_bytes(file.read_bytes()[:-40])
    elif how == "foreign":
        file.write_bytes(b"something else")
    code, _, err = await cache(warmed, "import", str(file))
    sentences = {
        "truncated": f"gateway: can't import {file}: it is truncated; nothing was imported",
        "foreign": f"gateway: can't import {file}: it is not a cache export of this version of the gateway; "
        "nothing was imported",
        "absent": f"gateway: can't import {file}: No such file or directory; nothing was imported",
    }
    assert (code, err.splitlines()[-1]) == (1, sentences[how])
    assert len((await cache(warmed, "ls"))[1].splitlines()) == KEPT


async def test_verify_reads_everything(warmed: Path) -> None:
    """A sound file is called so; a damaged row is found, counted, and deleted when asked."""
    code, out, _ = await cache(warmed, "verify")
    assert (code, json.loads(out)["sound"], json.loads(out)["rows"]) == (0, True, KEPT)
    file = warmed / "cache" / "development.db"
    data = bytearray(file.read_bytes())
    position = data.index(b"var-button")
    data[position] ^= 1
    file.write_bytes(data)
    code, out, _ = await cache(warmed, "verify")
    assert (code, json.loads(out)["sound"]) == (1, False)
    code, out, _ = await cache(warmed, "verify", "--repair")
    assert (code, json.loads(out)["repaired"]) == (0, True)
    assert json.loads((await cache(warmed, "verify"))[1])["sound"]


async def test_a_file_with_a_damaged_page_is_made_anew(warmed: Path) -> None:
    """What no deleting mends: the sound entries go into a new file, and the old one is set aside."""
    file = warmed / "cache" / "development.db"
    connection = sqlite3.connect(file)
    (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'entries_by_worth'").fetchone()
    connection.close()
    with file.open("r+b") as damaged:
        damaged.seek((page - 1) * 4096)
        damaged.write(b"\xff" * 4096)
    code, out, _ = await cache(warmed, "verify", "--repair")
    found = json.loads(out)
    assert (code, found["sound"], found["repaired"], found["rebuilt"]) == (0, True, True, KEPT)
    assert len((await cache(warmed, "ls"))[1].splitlines()) == KEPT
    assert len([path for path in file.parent.iterdir() if ".damaged-" in path.name]) == 1


async def test_warming_without_a_gateway(tmp_path: Path, registry: Registry) -> None:
    """The profile's calls are made in this process; what fails is named, and the exit code says so."""
    code, out, err = await cache(tmp_path, "warm", registry=registry.url)
    assert (code, out) == (1, "3 of 15 calls warmed\n")
    assert "gateway: get_component_props {'name': 'table'}: No component named table" in err
    assert len((await cache(tmp_path, "ls", "result:*"))[1].splitlines()) == 3


async def asked(url: str, method: str, path: str, **more: Any) -> httpx2.Response:
    async with httpx2.AsyncClient(base_url=url, trust_env=False) as http:
        return await http.request(method, path, **more)


async def test_a_running_gateway_is_asked(warmed: Path, registry: Registry) -> None:
    """The commands find the gateway that runs, and a purge takes what its memory holds as well."""
    gateway = await trio.to_thread.run_sync(partial(Gateway.serving, warmed, *QUICKLY, registry=registry.url))
    with gateway:
        url = ["--url", gateway.admin]
        call = {"name": "get_component_props", "arguments": {"name": "button"}}
        request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
        accept = {"Accept": "application/json, text/event-stream"}

        async def status() -> tuple[str, str]:
            origin, _, path = gateway.url.rpartition("/")
            answer = (await asked(origin, "POST", path, json=request, headers=accept)).json()
            about = answer["result"]["_meta"]["gateway/cache"]
            return about["status"], about["tier"]

        assert [await status(), await status()] == [("hit", "disk"), ("hit", "memory")]
        ended = await run(warmed, "cache", "purge", "--tool", "get_component_props", *url)
        assert (ended.code, ended.out) == (0, "3 entries purged\n")
        assert f"asking the gateway at {gateway.admin}" in ended.err
        assert await status() == ("miss", "upstream")
        ended = await run(warmed, "cache", "purge", "--tag", "component:button", "--soft", *url)
        assert ended.code == 0
        assert await status() == ("miss", "upstream")
        stats = json.loads((await run(warmed, "cache", "stats", *url)).out)
        assert stats["tiers"]["memory"]["hits"] >= 1
        assert json.loads((await run(warmed, "cache", "verify", *url)).out)["sound"]
        ended = await run(warmed, "cache", "warm", *url)
        assert (ended.code, ended.out) == (1, "3 of 15 calls warmed\n")


async def test_a_gateway_of_another_profile_is_left_alone(warmed: Path, registry: Registry) -> None:
    """A gateway that listens where this profile would, and keeps another file, is not purged by mistake."""
    gateway = await trio.to_thread.run_sync(partial(Gateway.serving, warmed, *QUICKLY, registry=registry.url))
    with gateway:
        bind = ["--set", f'admin.bind=["{gateway.admin.removeprefix("http://")}"]']
        ended = await run(warmed, "cache", "ls", "--profile", "production", *bind)
        assert (ended.code, ended.out) == (0, "")
        assert "no gateway runs on it, working on" in ended.err
        assert len((await run(warmed, "cache", "ls", *bind)).out.splitlines()) == KEPT


async def test_nobody_answers_at_a_url(tmp_path: Path) -> None:
    """An address that was named and where nobody answers is an error, not a reason to work on the file."""
    ended = await run(tmp_path, "cache", "stats", "--url", "http://127.0.0.1:9")
    assert ended.code == 1
    assert ended.err.startswith("gateway: no gateway answers at http://127.0.0.1:9: ")


async def test_the_admin_api(warmed: Path, registry: Registry) -> None:
    """It documents itself, says what is wrong with a request, and answers no foreign page."""
    gateway = await trio.to_thread.run_sync(partial(Gateway.serving, warmed, *QUICKLY, registry=registry.url))
    with gateway:
        ask = partial(asked, gateway.admin)
        paths = (await ask("GET", "/openapi.json")).json()["paths"]
        assert {"/api/cache/purge", "/api/cache/stats", "/api/cache/entries", "/api/cache/import"} <= set(paths)
        for body in ({}, {"tag": "a", "all": True}, {"tag": 5}, {"tags": "a"}, {"glob": "x" * 600}):
            response = await ask("POST", "/api/cache/purge", json=body)
            assert response.status_code == 400
            assert "pydantic" not in response.json()["error"]
        for content in (b"{", b"", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"all": NaN}'):
            json_type = {"Content-Type": "application/json"}
            broken = await ask("POST", "/api/cache/purge", content=content, headers=json_type)
            assert broken.status_code == 400
            assert broken.json()["error"].startswith("the body: expected a JSON object")
        broken = await ask("POST", "/api/cache/purge", content=b'{"all": true}')
        assert (broken.status_code, broken.json()) == (400, {"error": "Content-Type: expected application/json"})
        assert (await ask("GET", "/nothing")).json()["error"]
        response = await ask("POST", "/api/cache/purge", json={"all": True}, headers={"Origin": "https://evil.example"})
        assert response.status_code == 403
        assert (await ask("GET", "/api/cache/entry", params={"key": "nothing"})).status_code == 404
        page = (await ask("GET", "/api/cache/entries", params={"limit": 2})).json()
        rest = await ask("GET", "/api/cache/entries", params={"after": page["entries"][-1]["key"]})
        assert (len(page["entries"]), page["more"], len(rest.json()["entries"])) == (2, True, KEPT - 2)


async def test_an_export_for_nobody_leaves_nothing_and_an_import_may_be_large(warmed: Path, registry: Registry) -> None:
    """A HEAD request makes no file that nobody would remove; a body beyond 16 MB is read, and judged by what it is."""

    def left() -> set[Path]:
        return set(Path(tempfile.gettempdir()).glob("*/cache.export"))

    before = left()
    gateway = await trio.to_thread.run_sync(partial(Gateway.serving, warmed, *QUICKLY, registry=registry.url))
    with gateway:
        assert (await asked(gateway.admin, "HEAD", "/api/cache/export")).status_code == 200
        large = b"gateway cache export 1\n" + b"\xff" * 20_000_000
        answer = await asked(gateway.admin, "POST", "/api/cache/import", content=large)
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("can't import the file: it is truncated")
        assert (await asked(gateway.admin, "POST", "/api/cache/purge", content=large)).status_code in (400, 413)
        assert left() <= before


async def test_a_file_that_a_gateway_has_open_is_not_taken_for_an_empty_one(warmed: Path, registry: Registry) -> None:
    """A command that finds no gateway, but the file in use, says so: to list an empty memory would be untrue."""
    gateway = await trio.to_thread.run_sync(partial(Gateway.serving, warmed, *QUICKLY, registry=registry.url))
    with gateway:
        for arguments in (["ls"], ["stats"], ["purge", "--all"], ["export", "warm.cache"]):
            code, out, err = await cache(warmed, *arguments)
            assert (code, out) == (1, "")
            assert "another process has it open" in err
            assert "--url says where its admin site is" in err.splitlines()[-1]


async def test_ready_after_warming(tmp_path: Path, registry: Registry) -> None:
    """With `ready_after = "warm"` requests are welcome once the calls were made, whatever became of them."""
    asked_for, release = trio.Event(), trio.Event()
    varlet.hold(registry, asked_for, release)
    options = ["--set", "server.ready_after=warm", "--set", "warm.on_start=true", *QUICKLY]
    gateway = await trio.to_thread.run_sync(partial(Gateway.serving, tmp_path, *options, registry=registry.url))
    with gateway:
        with trio.fail_after(START):
            await asked_for.wait()
        assert (await asked(gateway.admin, "GET", "/readyz")).json()["status"] == "warming"
        release.set()
        await trio.to_thread.run_sync(gateway.wait_for, "warmed")
        ready = await asked(gateway.admin, "GET", "/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "ready")
