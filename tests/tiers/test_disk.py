from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog.testing
import trio

from gateway.errors import TierError
from gateway.pipeline.clock import Clock
from gateway.pipeline.freshness import new_entry
from gateway.pipeline.invalidation import Selector
from gateway.tiers.disk_batch import Job, Kind
from gateway.tiers.disk_cleanup import expire
from gateway.tiers.disk_entries import purge, put
from gateway.tiers.disk_store import Store
from tests.tiers.rig import POLICY, entry, opened, set_aside


async def test_entries_survive_a_restart(tmp_path: Path) -> None:
    """What was put is there when the file is opened again, also in a folder that had to be made."""
    kept = entry(b"x" * 5000, ("t",))
    async with opened(tmp_path / "new" / "cache.db") as disk:
        await disk.put({"a": kept, "b": entry()})
        assert await disk.get("a") == kept
    async with opened(tmp_path / "new" / "cache.db") as disk:
        assert await disk.get("a") == kept
        assert await disk.get("nothing") is None


async def test_a_purge_deletes_by_key_tag_and_all(tmp_path: Path) -> None:
    """It says how many entries there were, and leaves the others."""
    async with opened(tmp_path / "cache.db") as disk:
        await disk.put({"a": entry(tags=("t",)), "b": entry(tags=("t", "u")), "c": entry(tags=("u",)), "d": entry()})
        assert await disk.purge(Selector("key", "d")) == 1
        assert await disk.purge(Selector("tag", "t")) == 2
        assert await disk.get("c") is not None
        assert await disk.purge(Selector("all")) == 1
        assert await disk.get("c") is None


async def test_a_replaced_entry_is_found_by_its_new_tags_alone(tmp_path: Path) -> None:
    """Putting a key again replaces the tags with the entry."""
    async with opened(tmp_path / "cache.db") as disk:
        await disk.put({"a": entry(tags=("old",))})
        await disk.put({"a": entry(tags=("new",))})
        assert await disk.purge(Selector("tag", "old")) == 0
        assert await disk.purge(Selector("tag", "new")) == 1


async def test_concurrent_callers_are_all_served(tmp_path: Path) -> None:
    """Hundreds of reads and writes that queue together go as batches, and each gets its own answer."""
    async with opened(tmp_path / "cache.db") as disk:
        found: dict[int, bytes] = {}

        async def put_and_get(number: int) -> None:
            await disk.put({f"k{number}": entry(b"%d" % number)})
            value = await disk.get(f"k{number}")
            assert value is not None
            found[number] = value.payload

        async with trio.open_nursery() as callers:
            for number in range(300):
                callers.start_soon(put_and_get, number)
    assert found == {number: b"%d" % number for number in range(300)}


async def test_a_read_that_is_called_after_a_write_sees_it(tmp_path: Path) -> None:
    """Operations are done in the order in which they were called, even when nobody waited in between."""
    async with opened(tmp_path / "cache.db") as disk, trio.open_nursery() as nursery:
        nursery.start_soon(disk.put, {"a": entry()})
        await trio.testing.wait_all_tasks_blocked(0.0)
        assert await disk.get("a") is not None


async def test_a_cancelled_caller_does_not_stop_the_others(tmp_path: Path) -> None:
    """A batch that has begun is finished, whoever of its callers has gone."""
    async with opened(tmp_path / "cache.db") as disk:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(disk.put, {"a": entry()})
            with trio.CancelScope() as scope:
                scope.cancel()
                await disk.put({"b": entry()})
        assert await disk.get("a") is not None


@pytest.mark.parametrize("kind", Kind)
async def test_a_mistake_of_ours_fails_its_own_batch_alone(tmp_path: Path, kind: Kind) -> None:
    """What nobody expected to be raised is a TierError for who waits, and the tier works on."""

    def wrong(_store: Store) -> None:
        raise KeyError("generation")

    async with opened(tmp_path / "cache.db") as disk:
        await disk.put({"k": entry()})
        with pytest.raises(TierError, match="disk: KeyError: 'generation'"):
            await disk.do(kind, wrong)
        assert await disk.get("k") is not None
        await disk.put({"l": entry()})


async def test_a_large_payload_is_encoded_and_comes_back(tmp_path: Path) -> None:
    """A payload beyond the inline limit goes through a thread, and comes back the same."""
    payload = bytes(range(256)) * 4000
    async with opened(tmp_path / "cache.db") as disk:
        await disk.put({"a": entry(payload)})
        found = await disk.get("a")
    assert found is not None
    assert found.payload == payload


async def test_an_entry_is_fresh_here_for_the_tiers_ttl_at_most(tmp_path: Path) -> None:
    """The disk's ttl limits what a strategy allows."""
    clock = Clock()
    async with opened(tmp_path / "cache.db", clock, ttl="5s") as disk:
        await disk.put({"a": entry()})
        found = await disk.get("a")
    assert found is not None
    assert found.fresh_until <= clock() + 5


async def test_expired_entries_are_deleted_in_steps(tmp_path: Path) -> None:
    """Only what nobody may use any more goes, no more at once than asked for."""
    async with opened(tmp_path / "cache.db") as disk:
        await disk.put({f"old{number}": entry(age=2000) for number in range(5)})
        await disk.put({"stale": entry(age=1020), "fresh": entry()})
        done = await disk.do(Kind.CHANGE, lambda store: [expire(store, 3) for _ in range(3)])
        assert done == [3, 2, 0]
        assert await disk.get("stale") is not None
        assert disk.statistics().expired == 5


async def test_a_damaged_row_is_a_miss_and_is_deleted(tmp_path: Path) -> None:
    """A row that does not decode is counted and gone; the others are served."""
    path = tmp_path / "cache.db"
    async with opened(path) as disk:
        await disk.put({"a": entry(), "b": entry()})
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE entries SET row = zeroblob(50) WHERE key = 'a'")
    connection.close()
    async with opened(path) as disk:
        with structlog.testing.capture_logs() as logs:
            assert await disk.get("a") is None
        assert await disk.get("b") is not None
        assert disk.damaged == 1
        assert logs[0]["event"] == "damaged cache entry deleted"
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT key FROM entries").fetchall() == [("b",)]
    connection.close()


@pytest.mark.parametrize(
    "content",
    [b"this is not a database" * 100, b"SQLite format 3\x00" + b"\xff" * 5000, b"\x00" * 100],
    ids=["text", "broken header", "zeros"],
)
async def test_a_file_that_does_not_open_is_set_aside(tmp_path: Path, content: bytes) -> None:
    """It is renamed, not deleted, a new one is made, and the log says so."""
    path = tmp_path / "cache.db"
    path.write_bytes(content)
    async with opened(path) as disk:
        await disk.put({"a": entry()})
        assert await disk.get("a") is not None
    (aside,) = set_aside(tmp_path)
    assert aside.read_bytes() == content


async def test_a_foreign_database_is_set_aside(tmp_path: Path) -> None:
    """Somebody else's tables are not written into."""
    path = tmp_path / "cache.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE precious (id)")
    connection.close()
    async with opened(path) as disk:
        assert await disk.get("a") is None
    (aside,) = set_aside(tmp_path)
    with sqlite3.connect(aside) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("precious",)]
    connection.close()


async def test_a_file_from_after_the_clock_was_set_back_is_emptied(tmp_path: Path) -> None:
    """When the file remembers the future, nobody knows how old its entries are, so none is used."""
    path = tmp_path / "cache.db"
    ahead = Clock(lambda: 2e9)
    async with opened(path, ahead) as disk:
        await disk.put({"a": new_entry(b"x", POLICY, ahead())})
    async with opened(path, Clock(lambda: 2e9 - 3600)) as disk:
        assert await disk.get("a") is None


async def test_a_file_that_another_process_has_is_refused_in_one_sentence(tmp_path: Path) -> None:
    """There can be only one; the second is told, and the first is not disturbed."""
    path = tmp_path / "cache.db"
    async with opened(path) as disk:
        await disk.put({"a": entry()})
        code = (
            "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=0.1);"
            "c.execute('PRAGMA locking_mode=EXCLUSIVE'); c.execute('BEGIN IMMEDIATE')"
        )
        run = await trio.run_process(
            [sys.executable, "-c", code, str(path)], check=False, capture_stderr=True, stdin=subprocess.DEVNULL
        )
        assert b"database is locked" in run.stderr
        with pytest.RaisesGroup(
            pytest.RaisesExc(TierError, match="another process has it open"), flatten_subgroups=True
        ):
            async with opened(path):
                pass
        assert await disk.get("a") is not None


async def test_a_folder_that_can_not_be_made_is_refused_in_one_sentence(tmp_path: Path) -> None:
    """A file where the folder should be: the sentence names the path."""
    (tmp_path / "file").write_text("")
    expected = pytest.RaisesExc(TierError, match=r"can't use .*cache.db: (Not a directory|File exists)")
    with pytest.RaisesGroup(expected, flatten_subgroups=True):
        async with opened(tmp_path / "file" / "cache.db"):
            pass


@pytest.mark.parametrize(
    "selector", [Selector("key", "a"), Selector("tag", "t"), Selector("glob", "*"), Selector("all")]
)
async def test_what_queues_together_is_done_in_the_order_of_the_calls(tmp_path: Path, selector: Selector) -> None:
    """A purge between two writes of one batch takes the first and leaves the second."""
    before, after = entry(b"before", ("t",)), entry(b"after", ("t",))
    async with opened(tmp_path / "cache.db") as disk:
        works: list[Callable[[Store], object]] = [
            lambda store: put(store, {"a": before, "b": before}),
            lambda store: purge(store, selector, soft=False),
            lambda store: put(store, {"a": after}),
        ]
        jobs = [Job(Kind.CHANGE, work) for work in works]
        await disk.file.do(Kind.CHANGE, jobs)
        found = await disk.get("a")
        assert found is not None
        assert found.payload == b"after"
        assert (await disk.get("b") is None) == (selector.kind != "key")
