from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog.testing

from gateway.errors import TierError
from gateway.pipeline.clock import Clock
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Entry
from gateway.tiers.disk import DiskTier
from gateway.watch.janitor import Janitor
from tests.tiers.rig import Wall, opened

FULL, ROOM = "disk full, nothing more is written", "disk has room again"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("a file system of 1 MiB can't be mounted here: that takes root and the right to mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def noise(wall: Wall, tags: tuple[str, ...] = ()) -> Entry:
    return Entry(os.urandom(20_000), wall.now, wall.now + 1e6, tags=tags)


async def fill(disk: DiskTier, wall: Wall) -> dict[str, Entry]:
    kept: dict[str, Entry] = {}
    for number in range(100):
        written = noise(wall, (f"t{number}",))
        try:
            await disk.put({f"k{number}": written})
        except TierError:
            return kept
        kept[f"k{number}"] = written
        wall.now += 2
    raise AssertionError("it never gets full")


def ballast(folder: Path) -> Path:
    """Somebody else takes what is left."""
    path = folder / "ballast"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return path


async def test_a_full_disk_pauses_writing_and_recovers_by_itself(small_disk: Path) -> None:
    """What is there is served, writes fail as TierErrors, and both changes are logged once."""
    wall = Wall()
    with structlog.testing.capture_logs() as logs:
        async with opened(small_disk / "cache.db", Clock(wall), ttl="30d") as disk:
            kept = await fill(disk, wall)
            assert len(kept) > 10
            extra = ballast(small_disk)
            assert disk.statistics().full
            for number in range(5):
                wall.now += 2
                with pytest.raises(TierError):
                    await disk.put({f"more{number}": noise(wall)})
                for key, value in kept.items():
                    assert await disk.get(key) == value
            extra.unlink()
            wall.now += 2e6
            await Janitor(disk, 1.0).clean_up()
            wall.now += 2
            fresh = noise(wall)
            await disk.put({"new": fresh})
            assert await disk.get("new") is not None
            assert not disk.statistics().full
            assert disk.statistics().set_aside == 0
    assert [line["event"] for line in logs if line["event"] in (FULL, ROOM)] == [FULL, ROOM]


@pytest.mark.parametrize("kind", ["key", "tag", "glob", "all"])
@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
async def test_a_purge_is_possible_on_a_full_disk(small_disk: Path, kind: str, soft: bool) -> None:
    """It is durable, if need be at the cost of the whole file."""
    wall = Wall()
    value = {"key": "k3", "tag": "t3", "glob": "k3", "all": ""}[kind]
    async with opened(small_disk / "cache.db", Clock(wall), ttl="30d") as disk:
        await fill(disk, wall)
        ballast(small_disk)
        await disk.purge(Selector(kind, value), soft=soft)  # type: ignore[arg-type]
        found = await disk.get("k3")
        assert found is None or (soft and found.fresh_until <= disk.clock())
    (small_disk / "ballast").unlink()
    async with opened(small_disk / "cache.db", Clock(wall), ttl="30d") as disk:
        found = await disk.get("k3")
        assert found is None or (soft and found.fresh_until <= disk.clock())
        wall.now += 2
        await disk.put({"new": Entry(b"x", wall.now, wall.now + 10)})
        assert await disk.get("new") is not None
