from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from gateway.assembly import Gateway, open_gateway
from gateway.serving.admin.site import build_site
from tests.catalogue.rig import profile_of
from tests.tiers.rig import entry

DISK = """
[cache.disk]
path = "{folder}/cache.db"
compression_threshold = "1GB"
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, with nothing else in it."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def left(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Gateway]:
    async with open_gateway(profile_of(folder, DISK.format(folder=folder)), {}, ahead=False) as gateway:
        yield gateway


def asked(method: str, path: str) -> Any:
    headers = [(b"host", b"localhost")]
    return {
        "type": "http",
        "asgi": {"spec_version": "2.3", "version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "state": {},
        "extensions": {},
    }


def site_of(gateway: Gateway) -> Any:
    return build_site(gateway, trio.Event())


async def test_an_export_whose_client_leaves_before_it_begins_leaves_nothing(tmp_path: Path, temporary: Path) -> None:
    """Also when nobody ever begins to read it: the file has no name, and nobody has to remove it."""

    async def receive() -> Any:
        await trio.sleep_forever()

    async def send(_event: Any) -> None:
        assert left(temporary) == []
        raise BrokenPipeError

    async with opened(tmp_path) as gateway:
        assert gateway.disk is not None
        await gateway.disk.put({"a": entry()})
        with pytest.RaisesGroup(BrokenPipeError, flatten_subgroups=True):
            await site_of(gateway)(asked("GET", "/api/cache/export"), receive, send)
    assert left(temporary) == []


async def test_an_import_is_taken_no_faster_than_it_is_written(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that sends faster than the disk takes it has to wait; what it sent is then judged as a whole."""
    taken, answered = 0, bytearray()
    room = trio.Event()
    threads = trio.to_thread.run_sync

    async def slowly(call: Any, *arguments: Any, **more: Any) -> Any:
        if getattr(call, "__name__", "") == "write":
            await room.wait()
        return await threads(call, *arguments, **more)

    async def receive() -> Any:
        nonlocal taken
        if taken == 64_000_000:
            return {"type": "http.request", "body": b"", "more_body": False}
        taken += 64_000
        await trio.lowlevel.checkpoint()
        return {"type": "http.request", "body": b"x" * 64_000, "more_body": True}

    async def send(event: Any) -> None:
        answered.extend(event.get("body", b""))

    async with opened(tmp_path) as gateway, trio.open_nursery() as nursery:
        monkeypatch.setattr(trio.to_thread, "run_sync", slowly)
        nursery.start_soon(partial(site_of(gateway), asked("POST", "/api/cache/import"), receive, send))
        for _ in range(2000):
            await trio.lowlevel.checkpoint()
        assert 1_000_000 <= taken <= 3_000_000
        room.set()
    assert b"not a cache export" in answered
    assert left(temporary) == []
