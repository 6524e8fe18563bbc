"""Bad input at the start: one clear sentence each, exit code not 0 where it can't serve, and served wherever it can."""

from __future__ import annotations

import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.fakes.registry import Registry
from tests.system.processes import FREE_PORTS, Ended, Gateway, run


def disk(path: Path | str) -> tuple[str, ...]:
    return ("--set", f'cache.disk.path="{path}"')


async def props(folder: Path, registry: Registry, *more: str) -> Ended:
    return await run(folder, "call", "get_component_props", "name=button", *more, registry=registry.url)


def served_from(ended: Ended) -> str:
    assert ended.code == 0
    return str(ended.result["_meta"]["gateway/cache"]["tier"])


@pytest.mark.parametrize("command", [["serve"], ["stdio"], ["call", "list_components"], ["check"], ["show"]])
async def test_unknown_profile(tmp_path: Path, command: list[str]) -> None:
    """A profile that is nowhere is said with the places that were searched and the names there are."""
    ended = await run(tmp_path, *command, "--profile", "developmnt")
    assert (ended.code, ended.out) == (1, "")
    assert "--profile developmnt: expected a profile in " in ended.err
    assert "development" in ended.err


@pytest.mark.parametrize("command", ["serve", "stdio", "check"])
@pytest.mark.parametrize("kind", ["folder", "no text", "no TOML", "too deep", "loop"])
async def test_unreadable_profile(tmp_path: Path, kind: str, command: str) -> None:
    """A file that can't be read as a profile is said with its name."""
    path = tmp_path / "mine.toml"
    match kind:
        case "folder":
            path.mkdir()
        case "no text":
            path.write_bytes(b"\xff\xfe\0")
        case "no TOML":
            path.write_text("[server\n")
        case "too deep":
            path.write_text("x = " + "[" * 100_000)
        case "loop":
            path.symlink_to(path)
    ended = await run(tmp_path, command, "--profile", str(path))
    assert (ended.code, ended.out) == (1, "")
    assert "mine.toml" in ended.err


async def test_five_faults(tmp_path: Path) -> None:
    """Every fault of a file is reported by `serve` too, and nothing is started."""
    (tmp_path / "p.toml").write_text(
        '[server]\nbind = ["nowhere"]\n[cache.memory]\nmax_size = "256 megs"\nmax_items = 0\n[cach]\nx = 1\n'
        '[strategies.s]\nttl = "soon"\n'
    )
    ended = await run(tmp_path, "serve", "--profile", "p.toml")
    assert ended.code == 1
    for place in ("p.toml:2:9", "p.toml:4:12", "p.toml:5:13", "p.toml:6:2", "p.toml:9:7"):
        assert place in ended.err


@pytest.mark.parametrize("key", ["server", "admin"])
async def test_a_port_in_use(tmp_path: Path, key: str) -> None:
    """A port in use is one sentence with the key that names it."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        ended = await run(tmp_path, "serve", *FREE_PORTS, "--set", f'{key}.bind=["127.0.0.1:{port}"]')
    assert ended.code == 1
    assert ended.err == f"gateway: {key}.bind: can't listen on 127.0.0.1:{port}: Address already in use\n"


async def test_two_gateways(tmp_path: Path) -> None:
    """A second gateway on the same port says so."""
    with Gateway.serving(tmp_path) as first:
        ended = await run(tmp_path, "serve", *FREE_PORTS, "--set", f'server.bind=["127.0.0.1:{first.port}"]')
    assert ended.code == 1
    assert "Address already in use\n" in ended.err


@pytest.mark.parametrize("place", ["a file for a folder", "/proc", "a folder for a file"])
async def test_a_cache_that_can_not_be_written(tmp_path: Path, registry: Registry, place: str) -> None:
    """Where the cache can't be kept on disk, that is said and it is served without."""
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.db").mkdir()
    path = {
        "a file for a folder": tmp_path / "file" / "x.db",
        "/proc": Path("/proc/gateway/x.db"),
        "a folder for a file": tmp_path / "folder.db",
    }[place]
    ended = await props(tmp_path, registry, *disk(path))
    assert served_from(ended) == "upstream"
    assert ended.err.count("\n") == 1
    assert "serving without the disk tier" in ended.err
    assert str(path) in ended.err


def set_aside(folder: Path) -> bytes:
    """What the file held that was set aside."""
    (aside,) = [each for each in folder.glob("cache.db.damaged-*") if not each.name.endswith(("-wal", "-shm"))]
    return aside.read_bytes()


@pytest.mark.parametrize("damage", ["no database", "torn", "another's"])
async def test_a_damaged_database(tmp_path: Path, registry: Registry, damage: str) -> None:
    """A file that is no cache of ours is set aside, not deleted, and a new one is used."""
    path = tmp_path / "cache.db"
    if damage == "no database":
        path.write_bytes(b"no database " * 1000)
    elif damage == "torn":
        await props(tmp_path, registry, *disk(path))
        path.write_bytes(path.read_bytes()[:3000])
    else:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE precious (x)")
            connection.commit()
    before = path.read_bytes()
    ended = await props(tmp_path, registry, *disk(path))
    assert served_from(ended) == "upstream"
    assert "cache file set aside" in ended.err
    assert set_aside(tmp_path) == before
    assert served_from(await props(tmp_path, registry, *disk(path))) == "disk"


async def test_a_database_that_another_process_has(tmp_path: Path, registry: Registry) -> None:
    """While one gateway has the file, a second one says so and serves without; later the file can be had."""
    with Gateway.serving(tmp_path, registry=registry.url) as first:
        second = await props(tmp_path, registry)
        assert served_from(second) == "upstream"
        assert "another process has it open" in second.err
        assert first.stop() == 0
    assert (await props(tmp_path, registry)).err == ""


async def test_a_gateway_that_was_killed(tmp_path: Path, registry: Registry) -> None:
    """What a gateway had written before it was killed is there for the next one."""
    assert served_from(await props(tmp_path, registry)) == "upstream"
    with Gateway.serving(tmp_path, registry=registry.url) as gateway:
        gateway.process.kill()
        gateway.process.wait(30)
    assert served_from(await props(tmp_path, registry)) == "disk"


async def test_without_any_tier(tmp_path: Path, registry: Registry) -> None:
    """With both tiers off every call goes to the upstream."""
    off = ("--set", "cache.memory.enabled=false", "--set", "cache.disk.enabled=false")
    for _ in range(2):
        assert served_from(await props(tmp_path, registry, *off)) == "upstream"


async def test_a_broken_registry(tmp_path: Path, registry: Registry) -> None:
    """A registry that names no such package is told as the upstream's failure."""
    registry.packages.clear()
    ended = await props(tmp_path, registry, "--set", "upstream_defaults.retries=0")
    assert ended.code == 1
    assert ended.text.startswith("varlet-package: its releases can't be listed: ")
    assert "404" in ended.text
