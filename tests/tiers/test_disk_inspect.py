from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import TierError
from gateway.pipeline.glob import Glob
from gateway.pipeline.invalidation import Selector
from gateway.tiers.disk import open_file_alone
from gateway.tiers.disk_inspect import list_entries, verify
from tests.tiers.rig import entry, make_damaged, opened

texts = st.text(st.sampled_from("ab*é"), max_size=5)
KEYS = [f"{kind}:{number}" for kind in ("call", "doc", "do") for number in range(250)]


async def test_entries_are_listed_by_key_and_page_by_page(tmp_path: Path) -> None:
    """Each page goes on where the last one ended, and the pages together are all of them."""
    kept = entry(b"x" * 50, ("t",))
    async with opened(tmp_path / "cache.db") as disk:
        await disk.put(dict.fromkeys(KEYS, kept))
        (first,) = await list_entries(disk, limit=1)
        assert (first.key, first.entry) == (min(KEYS), kept)
        assert first.size > 50
        for pattern in ("*", "doc:*", "do*:1*", "*7", "doc:7", "nothing*", "call", "zzz*"):
            listed: list[str] = []
            after = None
            while page := await list_entries(disk, pattern, limit=90, after=after):
                assert len(page) <= 90
                listed += [listing.key for listing in page]
                after = listed[-1]
            assert listed == sorted(key for key in KEYS if Glob(pattern).matches(key))


async def test_what_was_purged_is_not_listed(tmp_path: Path) -> None:
    """Also while its rows are still there."""
    async with opened(tmp_path / "cache.db") as disk:
        await disk.put({"a": entry(), "b": entry()})
        await disk.purge(Selector("all"))
        await disk.put({"c": entry()})
        assert [listing.key for listing in await list_entries(disk)] == ["c"]


async def test_a_sound_file_is_said_to_be_sound(tmp_path: Path) -> None:
    """Everything was read, by a gateway that serves and by a command that has the file alone."""
    path = tmp_path / "cache.db"
    async with opened(path) as disk:
        await disk.put({key: entry(tags=("t", "t", "é")) for key in KEYS})
        found = await verify(disk)
        assert (found.sound, found.rows, found.good, found.repaired) == (True, 750, 750, False)
    async with open_file_alone(str(path)) as disk:
        assert await verify(disk) == found


DAMAGE = {
    "UPDATE entries SET row = zeroblob(60) WHERE key = 'k1'": {"checksum": 1},
    "UPDATE entries SET row = x'' WHERE key = 'k1'": {"checksum": 1},
    "UPDATE entries SET generation = 5 WHERE key IN ('k1', 'k2')": {"checksum": 2},
    "UPDATE entries SET key = 'other' WHERE key = 'k1'": {"checksum": 1},
    "UPDATE entries SET priority = 2 WHERE key = 'k1'": {"columns": 1},
    "UPDATE entries SET usable_until = 9e99 WHERE key = 'k1'": {"columns": 1},
    "UPDATE entries SET tags = '[]' WHERE key = 'k1'": {"columns": 1},
}


@pytest.mark.parametrize("damage", DAMAGE)
async def test_damaged_rows_are_counted_by_kind_and_repaired_when_asked(tmp_path: Path, damage: str) -> None:
    """Only what is damaged is deleted, and after that the file is sound."""
    path = tmp_path / "cache.db"
    async with opened(path) as disk:
        await disk.put({f"k{number}": entry(tags=("t",)) for number in range(5)})
    with sqlite3.connect(path) as connection:
        connection.execute(damage)
    connection.close()
    async with opened(path) as disk:
        found = await verify(disk)
        assert found.damaged == DAMAGE[damage]
        assert found.good == 5 - sum(found.damaged.values())
        assert (await verify(disk, repair=True)).repaired
        again = await verify(disk)
        assert again.sound
        assert again.rows == found.good


async def test_what_is_lost_in_the_index_of_tags_is_found(tmp_path: Path) -> None:
    """Tags that lead nowhere, and entries that their tag does not lead to, which a repair deletes."""
    path = tmp_path / "cache.db"
    async with opened(path) as disk:
        await disk.put({f"k{number}": entry(tags=("t", "u")) for number in range(500)})
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM tags WHERE key = 'k1'")
        connection.executemany("INSERT INTO tags VALUES ('t', ?)", [(f"lost{number}",) for number in range(450)])
    connection.close()
    async with opened(path) as disk:
        assert (await verify(disk)).orphans == 452
        assert (await verify(disk, repair=True)).repaired
        found = await verify(disk)
        assert (found.sound, found.rows) == (True, 499)


async def test_a_row_that_its_key_does_not_lead_to_is_deleted(tmp_path: Path) -> None:
    """A purge of that key could not have found it, so making the index anew must not bring it back."""
    path = tmp_path / "cache.db"
    async with opened(path) as disk:
        await disk.put({f"a key to look for {number}!": entry() for number in range(9)})
    content = bytearray(path.read_bytes())
    position = -1
    while (position := content.find(b"a key to look for 5!", position + 1)) >= 0:
        if content[position // 4096 * 4096] == 0x0A:  # a leaf of an index (sqlite.org/fileformat.html, section 1.6)
            content[position + 19] = ord('"')
    path.write_bytes(content)
    async with open_file_alone(str(path)) as disk:
        found = await verify(disk, deep=False)
        assert found.damaged == {"unreachable": 1}
        assert (await verify(disk, repair=True)).damaged == {"unreachable": 1}
        assert (await verify(disk)).good == 8


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.text(st.sampled_from("ab*é"), max_size=4), max_size=8, unique=True),
    st.text(st.sampled_from("ab*é"), max_size=5),
)
async def test_listing_finds_what_the_glob_matches(keys: list[str], pattern: str) -> None:
    """Whatever the keys and the pattern are."""
    with tempfile.TemporaryDirectory() as folder:
        async with opened(Path(folder) / "cache.db") as disk:
            await disk.put({key: entry() for key in keys})
            listed = [listing.key for listing in await list_entries(disk, pattern)]
    assert listed == sorted(key for key in keys if Glob(pattern).matches(key))


async def test_a_command_on_no_file_is_told_so(tmp_path: Path) -> None:
    """It does not make one."""
    with pytest.RaisesGroup(pytest.RaisesExc(TierError, match="there is no cache file"), flatten_subgroups=True):
        async with open_file_alone(str(tmp_path / "cache.db")):
            pass
    assert not (tmp_path / "cache.db").exists()


async def test_a_file_that_is_set_aside_meanwhile_is_not_said_to_be_sound(tmp_path: Path) -> None:
    """A running gateway goes on with a new file, but that one is not what was asked about."""
    await make_damaged(tmp_path / "cache.db")
    async with opened(tmp_path / "cache.db") as disk:
        found = await verify(disk, deep=False)
    assert not found.sound
    assert found.problems == ("the file turned out to be damaged and was set aside; a new one is in its place",)
