"""`gateway profile-cpu` on a gateway under load."""

from __future__ import annotations

import json
from pathlib import Path

import lxml.etree
import trio

from tests.system.processes import NOWHERE, run
from tests.system.watched import watched


async def test_a_profile(tmp_path: Path) -> None:
    """Functions with their share, a flame graph, and a file for speedscope."""
    async with watched(tmp_path) as gateway, trio.open_nursery() as load:

        async def asking() -> None:
            while True:
                await gateway.item(1)

        load.start_soon(asking)
        where = ["--url", gateway.process.admin, "--profile", "./watched.toml"]
        files = ["--svg", "flames.svg", "--speedscope", "flames.json"]
        ended = await run(tmp_path, "profile-cpu", "--seconds", "4", *where, *files)
        load.cancel_scope.cancel()
    assert (ended.code, ended.err) == (0, "")
    lines = [line.rstrip() for line in ended.out.splitlines()]
    assert " s of processor time in " in lines[0]
    named = [line for line in lines if line.endswith("%")]
    assert len(named) > 3
    assert any(".py" in line for line in named)
    assert lxml.etree.parse(str(tmp_path / "flames.svg")).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    scope = json.loads((tmp_path / "flames.json").read_text())
    assert scope["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    names = {frame["name"] for frame in scope["shared"]["frames"]}
    assert any("main" in name for name in names)
    assert scope["profiles"][0]["samples"]


async def test_where_no_profile_can_be(tmp_path: Path) -> None:
    """No gateway, no time, or no place for the file: a sentence, before any work is done."""
    ended = await run(tmp_path, "profile-cpu", "--url", NOWHERE)
    assert ended.code == 1
    assert ended.err.splitlines()[-1].startswith(f"gateway: no gateway answers at {NOWHERE}: ")
    ended = await run(tmp_path, "profile-cpu", "--url", NOWHERE, "--svg", "nowhere/flames.svg")
    assert ended.code == 1
    assert ended.err.splitlines()[-1].startswith("gateway: can't write nowhere/flames.svg: ")
    assert (await run(tmp_path, "profile-cpu", "--seconds", "0")).code != 0
