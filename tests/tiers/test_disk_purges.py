from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import trio

from gateway.errors import TierError
from gateway.pipeline.clock import Clock
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Entry
from gateway.tiers import disk_purges
from gateway.tiers.disk import DiskTier
from gateway.tiers.disk_batch import Kind
from gateway.tiers.disk_entries import purge
from gateway.watch.janitor import Janitor
from tests.tiers.rig import Wall, crashed, entry, opened

SELECTORS = [Selector("key", "a:1"), Selector("tag", "t"), Selector("glob", "a:*"), Selector("all")]


@pytest.mark.parametrize("selector", SELECTORS, ids=lambda selector: selector.kind)
@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
async def test_an_acknowledged_purge_survives_a_crash(tmp_path: Path, selector: Selector, soft: bool) -> None:
    """What a kill leaves right after the purge has it; what was put after the purge is untouched by it."""
    kept = entry(tags=("t",))
    async with opened(tmp_path / "cache.db") as disk:
        await disk.put({"a:1": kept, "b": entry()})
        assert await disk.purge(selector, soft=soft) == (2 if selector.kind == "all" else 1)
        await disk.put({"a:2": kept})
        crashed(tmp_path / "cache.db", tmp_path / "copy.db")
    async with opened(tmp_path / "copy.db") as disk:
        found = await disk.get("a:1")
        if soft:
            assert found is not None
            assert found.payload == kept.payload
            assert found.fresh_until <= Clock()()
            assert found.stale_while_revalidate == 0
        else:
            assert found is None
        assert await disk.get("a:2") == kept
        other = await disk.get("b")
        assert (other is None) == (selector.kind == "all" and not soft)


@pytest.mark.parametrize("selector", SELECTORS[1:], ids=lambda selector: selector.kind)
async def test_a_purge_that_was_killed_before_its_rows_were_deleted_holds(tmp_path: Path, selector: Selector) -> None:
    """The record alone is enough: reads check it, and the janitor deletes the rows after the restart."""
    async with opened(tmp_path / "cache.db") as disk:
        await disk.put({f"a:{number}": entry(tags=("t",)) for number in range(50)})
        await disk.do(Kind.CHANGE, lambda store: purge(store, selector, soft=False))
        crashed(tmp_path / "cache.db", tmp_path / "copy.db")
    async with opened(tmp_path / "copy.db") as disk:
        assert disk.statistics().entries == 50
        assert await disk.get("a:7") is None
        await disk.put({"a:7": entry(tags=("t",))})
        await Janitor(disk, 1.0).clean_up()
        assert disk.statistics().entries == 1
        assert await disk.get("a:7") is not None


@pytest.mark.parametrize(
    "damage", ["DELETE FROM tags", "UPDATE tags SET key = key || '?'", "UPDATE tags SET tag = tag || '?'"]
)
async def test_a_purge_by_tag_finds_what_a_damaged_index_lost(tmp_path: Path, damage: str) -> None:
    """The tags in the row count, which the checksum covers; the index is only the way to delete them soon."""
    path = tmp_path / "cache.db"
    async with opened(path) as disk:
        await disk.put({"a": entry(tags=("s", "t")), "b": entry(tags=("u",))})
    with sqlite3.connect(path) as connection:
        connection.execute(damage)
    connection.close()
    for _ in range(2):
        async with opened(path) as disk:
            await disk.purge(Selector("tag", "t"))
            assert await disk.get("a") is None
            assert await disk.get("b") is not None


async def test_a_stamp_that_was_tampered_with_does_not_evade_a_purge(tmp_path: Path) -> None:
    """A row that claims to be from after the purge is damaged."""
    path = tmp_path / "cache.db"
    async with opened(path) as disk:
        await disk.put({"a": entry(tags=("t",))})
        await disk.do(Kind.CHANGE, lambda store: purge(store, Selector("tag", "t"), soft=False))
        await disk.do(Kind.CHANGE, lambda store: store.connection.execute("UPDATE entries SET generation = 1"))
        assert await disk.get("a") is None
        assert disk.damaged == 1


async def test_a_glob_of_many_stars_takes_no_longer_than_it_has_to(tmp_path: Path) -> None:
    """Keys are matched in one pass each: this pattern would keep SQLite's own GLOB busy for years."""
    async with opened(tmp_path / "cache.db") as disk:
        await disk.put({"a" * 500: entry(), "b": entry()})
        assert await disk.purge(Selector("glob", "*a" * 60 + "*b")) == 0
        assert await disk.purge(Selector("glob", "*a" * 60 + "*")) == 1


@pytest.mark.parametrize(
    ("pattern", "gone"),
    [
        ("a", {"a"}),
        ("a*", {"a", "ab", "a*b"}),
        ("*b", {"ab", "b", "a*b"}),
        ("a[b]", set()),
        ("?", set()),
        ("é*", {"é"}),
    ],
)
async def test_a_glob_knows_only_the_star(tmp_path: Path, pattern: str, gone: set[str]) -> None:
    """Nothing else is special, and a beginning without stars is found by the index."""
    keys = {"a", "ab", "b", "a*b", "é", "c", ""}
    async with opened(tmp_path / "cache.db") as disk:
        await disk.put({key: entry() for key in keys})
        assert await disk.purge(Selector("glob", pattern)) == len(gone)
        assert {key for key in keys if await disk.get(key) is None} == gone


async def test_requests_are_served_while_a_purge_deletes(tmp_path: Path) -> None:
    """Reads get their turn between the bits, and no longer see what is being purged."""
    async with opened(tmp_path / "cache.db") as disk:
        await disk.put({f"k{number}": entry(tags=("t",)) for number in range(2000)})
        await disk.put({"other": entry()})
        served = 0
        done = trio.Event()

        async def ask() -> None:
            nonlocal served
            while not done.is_set():
                assert await disk.get("other") is not None
                assert await disk.get("k1999") is None
                served += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(purge_and_set, disk, done)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(ask)
        assert served > 1
        assert disk.statistics().entries == 1


async def purge_and_set(disk: DiskTier, done: trio.Event) -> None:
    assert await disk.purge(Selector("tag", "t")) == 2000
    done.set()


async def test_a_cancelled_purge_has_happened(tmp_path: Path) -> None:
    """Whoever stops waiting does not undo it; the janitor deletes the rows."""
    async with opened(tmp_path / "cache.db") as disk:
        await disk.put({f"k{number}": entry(tags=("t",)) for number in range(500)})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(disk.purge, Selector("tag", "t"))
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert await disk.get("k7") is None
        await Janitor(disk, 1.0).clean_up()
        assert disk.statistics().entries == 0


async def test_a_second_purge_of_all_counts_only_what_came_since(tmp_path: Path) -> None:
    """What the first has purged is not counted again while its rows are still there."""
    async with opened(tmp_path / "cache.db") as disk:
        await disk.put({f"k{number}": entry() for number in range(5)})
        assert await disk.purge(Selector("all")) == 5
        await disk.put({"new": entry()})
        assert await disk.purge(Selector("all")) == 1
        assert await disk.purge(Selector("tag", "t")) == 0


async def test_a_soft_purge_twice_leaves_the_entry_as_stale_as_the_first(tmp_path: Path) -> None:
    """The windows count from the first purge on."""
    wall = Wall()
    clock = Clock(wall)
    kept = Entry(b"x", wall.now, wall.now + 1000, stale_if_error=100, tags=("t",))
    async with opened(tmp_path / "cache.db", clock) as disk:
        await disk.put({"a": kept})
        await disk.purge(Selector("tag", "t"), soft=True)
        first = await disk.get("a")
        wall.now += 50
        await disk.purge(Selector("tag", "t"), soft=True)
        assert await disk.get("a") == first


async def test_purges_are_forgotten_when_nothing_can_be_left_of_them(tmp_path: Path) -> None:
    """Nothing grows: a record goes when the last entry from before it has expired."""
    wall = Wall()
    async with opened(tmp_path / "cache.db", Clock(wall), ttl="10m") as disk:
        await disk.put({"a": Entry(b"x", wall.now, wall.now + 1000, tags=("t",))})
        for number in range(20):
            await disk.purge(Selector("tag", f"t{number}"))
            await disk.purge(Selector("tag", "again"))
        assert disk.statistics().purges == 21
        wall.now += 599
        await Janitor(disk, 1.0).clean_up()
        assert disk.statistics().purges == 21
        wall.now += 2
        await Janitor(disk, 1.0).clean_up()
        assert disk.statistics().purges == 0
        assert disk.statistics().entries == 0


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
@pytest.mark.parametrize("kind", ["tag", "glob"])
async def test_more_purges_than_are_remembered_are_not_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, soft: bool
) -> None:
    """The log is bounded; beyond, a purge may take more than it was about, never less."""
    monkeypatch.setattr(disk_purges, "MAX_RECORDS", 5)
    monkeypatch.setattr(disk_purges, "MAX_PATTERNS", 5)
    for _ in range(2):
        async with opened(tmp_path / "cache.db") as disk:
            await disk.put({f"k{number}": entry(tags=(f"t{number}",)) for number in range(12)})
            for number in range(12):
                value = f"t{number}" if kind == "tag" else f"*k{number}"
                await disk.purge(Selector(kind, value), soft=soft)  # type: ignore[arg-type]
            assert disk.statistics().purges == 5
            await disk.put({"new": entry()})
        async with opened(tmp_path / "cache.db") as disk:
            for number in range(12):
                found = await disk.get(f"k{number}")
                assert found is None or (soft and found.fresh_until <= disk.clock())
            assert await disk.get("new") is not None


async def test_a_purge_that_can_not_be_written_is_refused(tmp_path: Path) -> None:
    """It raises, since it must not be acknowledged, and it has not happened half."""
    async with opened(tmp_path / "cache.db") as disk:
        await disk.put({"a": entry(tags=("\N{BLACK STAR}",))})
        with pytest.raises(TierError, match="surrogates not allowed"):
            await disk.purge(Selector("tag", "\ud800"))
        assert disk.statistics().purges == 0
        assert await disk.purge(Selector("tag", "\N{BLACK STAR}")) == 1


async def test_many_soft_purges_give_nothing_up(tmp_path: Path) -> None:
    """However many there are, what they were about, and what they were not, may still stand in for a failure."""
    wall = Wall()
    async with opened(tmp_path / "cache.db", Clock(wall)) as disk:
        kept = Entry(b"x", wall.now, wall.now + 3000, stale_if_error=86400, tags=("t",))
        await disk.put({"a": kept, "b": kept})
        for number in range(40):
            wall.now += 10
            await disk.purge(Selector("glob", f"a*{number}" if number % 2 else "a*"), soft=True)
            await disk.purge(Selector("all"), soft=True)
            assert disk.statistics().purges <= disk_purges.MAX_PATTERNS + 1
        for key in ("a", "b"):
            entry = await disk.get(key)
            assert entry is not None
            assert entry.fresh_until <= wall.now < entry.usable_until
    async with opened(tmp_path / "cache.db", Clock(wall)) as disk:
        assert await disk.get("b") is not None
