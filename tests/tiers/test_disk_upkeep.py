from __future__ import annotations

import time
from pathlib import Path

import pytest

from gateway.pipeline.model import Entry
from gateway.tiers import disk_cleanup
from gateway.tiers.codec import Codec
from gateway.tiers.disk_batch import Job, Kind
from gateway.tiers.disk_cleanup import evict, expire, vacuum
from gateway.tiers.disk_slices import TARGET, in_slices
from gateway.tiers.disk_store import Store
from gateway.tiers.disk_upkeep import Pace, Upkeep, copy_wal
from gateway.watch.janitor import Janitor
from tests.tiers.rig import Wall, opened


def wal_is_empty(store: Store) -> bool:
    """Whether there is nothing in the WAL that is not in the file: then the next write starts it anew."""
    _, pages, moved = store.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return bool(pages == moved)


async def test_the_wal_is_moved_in_turns_of_its_own() -> None:
    """After so many rows, and the more the quicker it goes; the longest of all is what is told."""
    asked: list[tuple[Kind, int]] = []
    moving = TARGET / 2

    async def queue_up(job: Job) -> Job:
        limit = job.work.keywords["limit"] if job.kind is Kind.CHORE else 0  # type: ignore[attr-defined]  # a partial
        if job.kind is Kind.MOVE and job.work is not copy_wal:
            return job
        asked.append((job.kind, limit))
        job.result, job.seconds = limit or 1, TARGET / 2 if job.kind is Kind.CHORE else moving
        return job

    upkeep = Upkeep(Store(Path("/nowhere/cache.db"), Codec(1, 0.0), ttl=1.0, max_size=1), queue_up)
    for _ in range(100):
        await upkeep.do_bit(expire)
    between, rows = [], 0
    for kind, limit in asked:
        rows += limit
        if kind is Kind.MOVE:
            between.append(rows)
            rows = 0
    assert between[0] <= 64
    assert between[-1] > 1000
    moving = 20 * TARGET
    before = len(asked)
    for _ in range(60):
        await upkeep.do_bit(expire)
    moves = sum(kind is Kind.MOVE for kind, _ in asked[before:])
    assert moves > 10
    assert asked[-2][0] is Kind.CHORE
    assert asked[-2][1] <= 32, "a bit that is more than a move may take can't be moved in time"
    assert upkeep.longest_hold == 20 * TARGET
    await upkeep.finish()
    assert asked[-1][0] is Kind.MOVE


def test_a_pace_stays_within_its_bounds() -> None:
    """It never falls below what is worth a move, nor rises beyond what a move may take."""
    pace = Pace(32, 32, 64)
    for _ in range(10):
        pace.settle(pace.size, TARGET * 100)
    assert pace.size == 32
    for _ in range(10):
        pace.settle(pace.size, TARGET / 100)
    assert pace.size == 64


async def test_chores_learn_apart() -> None:
    """One whose rows cost much to move does not take from another what it has learnt."""
    moving: dict[str, float] = {"expire": TARGET / 100, "evict": TARGET * 20}
    doing, limits = "", []

    async def queue_up(job: Job) -> Job:
        limit = job.work.keywords["limit"] if job.kind is Kind.CHORE else 0  # type: ignore[attr-defined]  # a partial
        if job.kind is Kind.MOVE and job.work is not copy_wal:
            return job
        limits.append(limit)
        job.result, job.seconds = limit or 1, TARGET / 100 if job.kind is Kind.CHORE else moving[doing]
        return job

    upkeep = Upkeep(Store(Path("/nowhere/cache.db"), Codec(1, 0.0), ttl=1.0, max_size=1), queue_up)
    largest = {}
    for doing, chore in (("expire", expire), ("evict", evict), ("expire", expire)) * 3:
        limits.clear()
        for _ in range(40):
            await upkeep.do_bit(chore)
        largest[doing] = limits[-2] or limits[-1]
    assert largest == {"expire": 256, "evict": 32}


def test_a_bit_ends_in_time_whatever_a_row_costs(tmp_path: Path) -> None:
    """Rows that cost more than was thought are few; those that cost nothing are as many as there may be."""
    store = Store(tmp_path / "cache.db", Codec(1, 0.0), ttl=1.0, max_size=1)
    asked: list[int] = []
    pause, left = 2 * TARGET, 1000

    def chore(store: Store, limit: int) -> int:
        nonlocal left
        asked.append(limit)
        time.sleep(pause)
        count = min(limit, left)
        left -= count
        return count

    assert in_slices(chore)(store, limit=256) == asked.pop() < 256
    pause = 0.0
    assert in_slices(chore)(store, limit=100) == sum(asked) == 100
    left = 3
    assert in_slices(chore)(store, limit=256) == 3
    assert in_slices(chore)(store, limit=256) == 0


async def test_no_commit_of_a_chore_moves_the_wal(tmp_path: Path) -> None:
    """What a bit writes stays in the WAL until its turn comes, and nothing is left there in the end."""
    wall = Wall()
    async with opened(tmp_path / "cache.db") as disk:
        await disk.put({f"k{number}": Entry(b"x" * 900, wall.now - 9e9, 1.0) for number in range(3000)})
        await disk.do(Kind.MOVE, wal_is_empty)
        pages = []
        for _ in range(6):
            await disk.do(Kind.CHORE, lambda store: expire(store, 400))
            pages.append((await disk.do(Kind.MOVE, lambda store: store.wal.stat().st_size)) // 4096)
        assert pages[-1] > 250
        assert pages == sorted(pages)
        await Janitor(disk, 1.0).clean_up()
        assert await disk.do(Kind.MOVE, wal_is_empty)


async def test_a_bit_of_the_vacuum_ends_with_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One page may take a hundred times what the last did, which no pace that was learnt from those knows."""
    async with opened(tmp_path / "cache.db") as disk:
        await disk.put({f"k{number}": Entry(b"x" * 900, 0.0, 1.0) for number in range(3000)})
        await disk.do(Kind.CHORE, lambda store: expire(store, 3000))
        monkeypatch.setattr(disk_cleanup, "TARGET", 0.0)
        assert await disk.do(Kind.CHORE, lambda store: vacuum(store, 64)) == 1
        monkeypatch.undo()
        assert await disk.do(Kind.CHORE, lambda store: vacuum(store, 8)) > 1
