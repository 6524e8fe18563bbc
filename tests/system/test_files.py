"""A folder as an upstream of a whole gateway, with its disk tier and its watch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import orjson
import trio

from gateway.assembly import Gateway, open_gateway
from gateway.profile.loader import load_profile
from gateway.profile.profile import Profile

PROFILE = """
[cache.disk]
path = "{folder}/cache.db"
[strategies.s]
ttl = "1h"
[upstreams.handbook]
type = "files"
root = "{folder}/handbook"
watch = {{ interval = "{interval}" }}
[tools.read]
description = "A page of the handbook."
strategy = "s"
input.properties.name = {{ type = "string" }}
fetch = {{ upstream = "handbook", path = "{{name}}.md" }}
[tools.pages]
description = "The pages of the handbook."
strategy = "s"
fetch = {{ upstream = "handbook", path = "" }}
result.select = "files[].path"
"""


def profile(folder: Path, interval: str) -> Profile:
    (folder / "handbook").mkdir(exist_ok=True)
    (folder / "p.toml").write_text(PROFILE.format(folder=folder, interval=interval))
    return load_profile(str(folder / "p.toml"), environ={}, cwd=folder, folders=[]).profile


def write(folder: Path, name: str, text: str) -> None:
    (folder / "handbook" / name).write_text(text)


async def call(gateway: Gateway, tool: str, **arguments: Any) -> Any:
    result = orjson.loads((await gateway.catalogue.call(tool, arguments)).payload)
    assert "isError" not in result, result
    return result["structuredContent"]


async def until(gateway: Gateway, value: Any, tool: str, **arguments: Any) -> None:
    while await call(gateway, tool, **arguments) != value:  # noqa: ASYNC110  # the watch tells nobody in here
        await trio.sleep(0.01)


async def test_a_changed_file_is_seen_soon(tmp_path: Path) -> None:
    """Long before the strategy's ttl is over, since the folder is watched; also a file that is new."""
    loaded = profile(tmp_path, "50ms")
    write(tmp_path, "leave.md", "# one")
    async with open_gateway(loaded, os.environ) as gateway:
        assert await call(gateway, "read", name="leave") == {"result": "# one"}
        assert await call(gateway, "pages") == {"result": ["leave.md"]}
        write(tmp_path, "leave.md", "# two")
        write(tmp_path, "sick.md", "# ill")
        with trio.fail_after(30):
            await until(gateway, {"result": "# two"}, "read", name="leave")
            await until(gateway, {"result": ["leave.md", "sick.md"]}, "pages")


async def test_what_changed_while_no_gateway_ran(tmp_path: Path) -> None:
    """What the disk tier kept of a folder is looked at again after a start."""
    loaded = profile(tmp_path, "1h")
    write(tmp_path, "leave.md", "# one")
    async with open_gateway(loaded, os.environ, ahead=False) as gateway:
        assert await call(gateway, "read", name="leave") == {"result": "# one"}
    write(tmp_path, "leave.md", "# two")
    async with open_gateway(loaded, os.environ, ahead=False) as gateway:
        assert await call(gateway, "read", name="leave") == {"result": "# two"}


async def test_without_a_change_nothing_is_made_anew(tmp_path: Path) -> None:
    """The second answer is the kept one."""
    loaded = profile(tmp_path, "1h")
    write(tmp_path, "leave.md", "# one")
    async with open_gateway(loaded, os.environ) as gateway:
        await call(gateway, "read", name="leave")
        result = await gateway.catalogue.call("read", {"name": "leave"})
        assert result.answer is not None
        assert result.answer.tier == "memory"
