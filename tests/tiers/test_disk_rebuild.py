from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Entry
from gateway.profile.tiers import DiskTier as DiskSection
from gateway.tiers.codec import Codec
from gateway.tiers.disk import DiskTier, open_file_alone
from gateway.tiers.disk_batch import Kind
from gateway.tiers.disk_entries import purge
from gateway.tiers.disk_inspect import verify
from gateway.tiers.disk_rebuild import rebuild
from tests.tiers.rig import entry, make_damaged, opened, set_aside

KEYS = [f"key {number}!" for number in range(300)]
PAGE = 4096


def kept(number: int) -> Entry:
    return entry(random.Random(number).randbytes(900 if number % 10 else 9000), (f"t{number % 3}",))


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


async def what_is_left(disk: DiskTier) -> dict[str, Entry]:
    return {key: found for key in KEYS if (found := await disk.get(key)) is not None}


async def filled(path: Path) -> dict[str, Entry]:
    """A file of rows of several sizes with purges, of which one is not swept yet; what it serves."""
    async with opened(path) as disk:
        await disk.put({key: kept(number) for number, key in enumerate(KEYS)})
        await disk.purge(Selector("tag", "t0"))
        await disk.do(Kind.CHANGE, lambda store: purge(store, Selector("tag", "t1"), soft=False), durable=True)
        await disk.put({KEYS[1]: kept(1)})
        return await what_is_left(disk)


async def test_half_of_a_file_is_made_a_whole_one(tmp_path: Path) -> None:
    """Of 8000 rows on damaged pages, those that can be read are kept, and the file is sound after that."""
    path = tmp_path / "cache.db"
    await make_damaged(path)
    async with open_file_alone(str(path)) as disk:
        found = await verify(disk, repair=True)
        assert found.problems
        assert not found.repaired
        count = await rebuild(disk)
        again = await verify(disk)
        assert (again.sound, again.rows) == (True, count)
        assert 1000 < count < 8000
        assert disk.statistics().entries == count
    assert len(set_aside(tmp_path)) == 1
    assert names(tmp_path) == {"cache.db", set_aside(tmp_path)[0].name}


@pytest.mark.parametrize("seed", range(12))
async def test_what_is_kept_is_what_was_served(tmp_path: Path, seed: int) -> None:
    """Whatever pages are damaged: nothing that was purged comes back, and no entry is another one."""
    path, draw = tmp_path / "cache.db", random.Random(seed)
    served = await filled(path)
    content = bytearray(path.read_bytes())
    for page in draw.sample(range(12, len(content) // PAGE), 8):
        content[page * PAGE : page * PAGE + 200] = draw.randbytes(200)
    path.write_bytes(content)
    section = DiskSection(path=str(path))
    async with open_file_alone(section.path) as disk:
        count = await rebuild(disk)
        assert (await verify(disk)).sound
        left = await what_is_left(disk)
        assert len(left) == count
        assert left.items() <= served.items()
        assert disk.statistics().purges == 2
        await disk.purge(Selector("tag", "t2"))
        assert not any("t2" in found.tags for found in (await what_is_left(disk)).values())


async def test_a_sound_file_is_copied_whole(tmp_path: Path) -> None:
    """Every entry that was served goes along with its freshness, and so do the purges."""
    path = tmp_path / "cache.db"
    served = await filled(path)
    (tmp_path / "cache.db.rebuilt").write_bytes(b"what a kill left")
    async with open_file_alone(str(path)) as disk:
        assert await rebuild(disk) == len(served)
    async with opened(path) as disk:
        assert await what_is_left(disk) == served
        assert disk.statistics().purges == 2


async def test_of_two_rows_of_one_key_the_one_that_was_served_is_kept(tmp_path: Path) -> None:
    """No index can be made of both; the other could be one that was replaced or purged."""
    path = tmp_path / "cache.db"
    served, other = entry(b"served"), entry(b"other!")
    async with opened(path) as disk:
        await disk.put({"a key, 5": served, "a key, 6": other})
    codec = Codec(1000, 0.1)
    content = bytearray(path.read_bytes().replace(codec.encode("a key, 6", other), codec.encode("a key, 5", other)))
    position = -1
    while (position := content.find(b"a key, 6", position + 1)) >= 0:
        if content[position // PAGE * PAGE] == 0x0D:  # a leaf of a table (sqlite.org/fileformat.html, section 1.6)
            content[position + 7] = ord("5")
    path.write_bytes(content)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM entries NOT INDEXED WHERE key = 'a key, 5'").fetchone() == (2,)
    connection.close()
    async with open_file_alone(str(path)) as disk:
        assert not (await verify(disk, repair=True)).repaired
        assert await rebuild(disk) == 1
        assert (await verify(disk)).sound
        assert await disk.get("a key, 5") == served
