from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import structlog.testing

from gateway.errors import TierError
from gateway.pipeline.clock import Clock
from gateway.pipeline.invalidation import Selector
from gateway.tiers.disk_batch import Kind
from gateway.tiers.disk_inspect import verify
from gateway.watch.janitor import Janitor
from tests.tiers.rig import Wall, entry, opened, set_aside


def overwrite(path: Path, start: int) -> None:
    """Everything behind the first pages becomes noise, as a disk that dies leaves it."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(start)
        file.write(b"\xa5" * (size - start))


async def test_a_file_that_is_damaged_while_it_is_used_is_set_aside(tmp_path: Path) -> None:
    """Requests are misses, a new file is made, and this is counted and logged once."""
    path = tmp_path / "cache.db"
    async with opened(path) as disk:
        for start in range(0, 3000, 500):
            await disk.put({f"k{number}": entry(b"x" * 900) for number in range(start, start + 500)})
    async with opened(path, compression_threshold="1MB") as disk:
        await disk.do(Kind.READ, lambda store: store.connection.execute("PRAGMA cache_size = 5"))
        overwrite(path, 16 * 4096)
        with structlog.testing.capture_logs() as logs:
            for number in range(0, 3000, 10):
                found = await disk.get(f"k{number}")
                assert found is None or found.payload == b"x" * 900
        assert [line["event"] for line in logs if line["event"] != "damaged cache entry deleted"] == [
            "cache file set aside"
        ]
        await disk.put({"new": entry()})
        assert await disk.get("new") is not None
        assert disk.statistics().set_aside == 1
    assert len(set_aside(tmp_path)) == 1


async def test_tables_that_vanish_while_they_are_used_are_made_anew(tmp_path: Path) -> None:
    """The operation that noticed it is done on the new file."""
    async with opened(tmp_path / "cache.db") as disk:
        await disk.put({"a": entry()})
        await disk.do(Kind.READ, lambda store: store.connection.execute("DROP TABLE entries"))
        await disk.put({"b": entry()})
        assert await disk.get("a") is None
        assert await disk.get("b") is not None
        assert await disk.purge(Selector("all")) == 1


async def test_a_file_that_can_not_be_opened_again_is_tried_later(tmp_path: Path) -> None:
    """Until then each operation fails as a TierError, and none of them tries the disk anew."""
    wall = Wall()
    folder = tmp_path / "folder"
    async with opened(folder / "cache.db", Clock(wall)) as disk:
        await disk.put({"a": entry()})
        await disk.do(Kind.READ, lambda store: store.connection.execute("DROP TABLE entries"))
        folder.rename(tmp_path / "elsewhere")
        folder.write_text("a file where the folder was")
        for problem in ("can't use", "it is tried again soon"):
            with pytest.raises(TierError, match=problem):
                await disk.get("a")
        folder.unlink()
        wall.now += 11
        assert await disk.get("a") is None
        await disk.put({"a": entry()})
        assert await disk.get("a") is not None


async def test_an_existing_file_that_a_command_looks_at_is_left_where_it_is(tmp_path: Path) -> None:
    """Damage is an error then, and the file keeps its name."""
    from gateway.tiers.disk import open_file_alone

    path = tmp_path / "cache.db"
    async with opened(path, compression_threshold="1MB") as disk:
        await disk.put({f"k{number}": entry(b"x" * 900) for number in range(500)})
    overwrite(path, path.stat().st_size - 3 * 4096)
    async with open_file_alone(str(path)) as disk:
        found = await verify(disk)
    assert found.problems
    assert not found.sound
    assert set_aside(tmp_path) == []


@pytest.mark.parametrize("tags", ["'{'", "'\"t'", "x'ff00'", "1", "''"])
async def test_a_row_with_damaged_tags_can_be_replaced_and_deleted(tmp_path: Path, tags: str) -> None:
    """The trigger can't read them, and the rest of the file goes on working."""
    path = tmp_path / "cache.db"
    async with opened(path) as disk:
        await disk.put({key: entry(tags=("t",)) for key in "abc"})
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("PRAGMA application_id = 0")  # or it would be another schema
        connection.execute("UPDATE sqlite_schema SET sql = replace(sql, 'STRICT', '')")
    connection.close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE entries SET tags = {tags}")
    connection.close()
    async with opened(path) as disk:
        await disk.put({"a": entry(b"new")})
        assert await disk.purge(Selector("key", "b")) == 1
        await disk.purge(Selector("tag", "t"))
        assert await disk.get("c") is None
        assert (await disk.get("a") or entry()).payload == b"new"
        await disk.purge(Selector("all"))
        await Janitor(disk, 1.0).clean_up()
        assert disk.statistics().entries == 0
        assert disk.statistics().set_aside == 0


@pytest.mark.parametrize("column", ["generation", "used_at", "usable_until", "priority", "row", "key"])
@pytest.mark.parametrize("value", ["NULL", "'text'", "x'ff'", "-1", "9e99"])
async def test_a_column_of_any_type_is_survived(tmp_path: Path, column: str, value: str) -> None:
    """A flipped bit turns a number into a text: nothing wrong is served, and everything goes on working."""
    path = tmp_path / "cache.db"
    kept = entry(b"b" * 100, tags=("t",))
    async with opened(path) as disk:
        await disk.put({"a": kept, "b": kept})
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("PRAGMA application_id = 0")  # or it would be another schema
        connection.execute("UPDATE sqlite_schema SET sql = replace(replace(sql, 'STRICT', ''), 'NOT NULL', '')")
    connection.close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE entries SET {column} = {value} WHERE key = 'a'")
    connection.close()
    async with opened(path) as disk:
        assert await disk.get("a") in (None, kept)
        assert await disk.get("b") in (None, kept)
        await Janitor(disk, 1.0).clean_up()
        await disk.purge(Selector("glob", "*z"))
        await verify(disk, repair=True)
        await disk.purge(Selector("glob", "*"))
        assert await disk.get("a") is None
        await disk.put({"a": kept})
        assert await disk.get("a") == kept


async def test_one_entry_that_can_not_be_written_does_not_fail_the_others(tmp_path: Path) -> None:
    """Each of a batch has its own outcome, also when SQLite is the one to refuse."""
    import trio

    failures = []
    async with opened(tmp_path / "cache.db") as disk:

        async def put(key: str, **changes: object) -> None:
            try:
                await disk.put({key: entry().but(**changes)})
            except TierError as error:
                failures.append((key, str(error)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(put, "good")
            nursery.start_soon(put, "\ud800")
            nursery.start_soon(lambda: put("nan", stale_if_error=float("nan"), stale_while_revalidate=float("nan")))
            nursery.start_soon(lambda: put("text", tags=("\ud800",)))
            nursery.start_soon(put, "fine")
        assert await disk.get("good") is not None
        assert await disk.get("fine") is not None
        assert await disk.get("\ud800") is None
        assert disk.statistics().set_aside == 0
    assert {key for key, _ in failures} == {"\ud800", "nan", "text"}


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


@pytest.mark.parametrize("keep", [0, 1, 3])
async def test_only_the_newest_files_that_were_set_aside_are_kept(tmp_path: Path, keep: int) -> None:
    """The others are deleted with their WAL, which is logged; what only looks like one is left alone."""
    path = tmp_path / "cache.db"
    old = [f"cache.db.damaged-2020010{day}T000000{more}" for day in (1, 2) for more in ("", "-1", "-10", "-2")]
    ours = [*old, f"{old[0]}-wal", f"{old[0]}-shm"]
    others = ["cache.db.damaged-mine", "cache.db.damaged-20200101T000000.zip", "other.db.damaged-20200101T000000"]
    others += ["cache.dbx.damaged-20200101T000000", "cache.db.damaged-20200101T000000-copy"]
    for name in (*ours, *others):
        (tmp_path / name).write_text(name)
    (tmp_path / "cache.db.damaged-20190101T000000").mkdir()
    path.write_bytes(b"no database")
    with structlog.testing.capture_logs() as logs:
        async with opened(path, keep_damaged=keep) as disk:
            await disk.put({"a": entry()})
    left = names(tmp_path)
    assert left >= {*others, "cache.db.damaged-20190101T000000", "cache.db"}
    kept = sorted(name for name in left & set(old))
    assert kept == sorted(
        ["cache.db.damaged-20200102T000000-10", "cache.db.damaged-20200102T000000-2"][: max(0, keep - 1)]
    )
    assert not left & {f"{old[0]}-wal", f"{old[0]}-shm"}
    deleted = [line for line in logs if line["event"] == "old cache file deleted"]
    assert len(deleted) == len(old) + 1 - keep
    assert [line["event"] for line in logs if line["event"] == "cache file set aside"] == ["cache file set aside"]
