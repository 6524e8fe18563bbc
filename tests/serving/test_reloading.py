"""Reloads of a gateway in this process."""

from __future__ import annotations

import shutil
from pathlib import Path

import trio

from gateway.assembly.running import open_running
from gateway.profile.loader import Loaded, load_profile
from gateway.serving.reloading import Reloader

PROFILE = """
[server]
reload_on_change = true
title = "{title}"
[cache.disk]
enabled = false
"""


def loaded_of(folder: Path, title: str) -> Loaded:
    folder.mkdir(exist_ok=True)
    (folder / "p.toml").write_text(PROFILE.format(title=title))
    return load_profile("p", environ={}, cwd=folder, folders=[folder])


async def test_files_that_can_not_be_watched(tmp_path: Path, autojump_clock: trio.abc.Clock) -> None:
    """The gateway goes on without, tries again, and finds what has changed meanwhile."""
    folder = tmp_path / "profiles"
    loaded = loaded_of(folder, "before")
    shutil.rmtree(folder)
    async with open_running(loaded, {}) as running, trio.open_nursery() as nursery:
        reloader = Reloader(running, lambda: load_profile("p", environ={}, cwd=folder, folders=[folder]), trio.Event())
        nursery.start_soon(reloader.run)
        await trio.sleep(25)
        assert reloader.last is None
        loaded_of(folder, "after")
        await running.replaced.wait()
        assert running.loaded.profile.server.title == "after"
        nursery.cancel_scope.cancel()
