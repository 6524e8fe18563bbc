from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing
import trio_asyncio

from gateway.errors import TierError
from gateway.pipeline.clock import Clock
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Entry
from gateway.profile.tiers import DiskTier as DiskSection
from gateway.tiers.disk import open_disk
from gateway.tiers.disk_batch import Job, Kind, parted
from gateway.tiers.disk_queue import MAX_BYTES
from tests.tiers.rig import entry, opened


async def test_a_burst_of_large_writes_is_bounded_by_its_bytes(tmp_path: Path) -> None:
    """What is too much is given up and counted, a purge never; the rest is written, and then there is room again."""
    section = DiskSection(path=str(tmp_path / "cache.db"))
    size, count = MAX_BYTES // 8, 12
    failures = []
    async with trio_asyncio.open_loop(), open_disk(section, Clock()) as disk, trio.open_nursery() as services:

        async def put(number: int) -> None:
            try:
                await disk.put({f"k{number}": entry(bytes(size))})
            except TierError as error:
                failures.append(str(error))

        async with trio.open_nursery() as burst:
            for number in range(count):
                burst.start_soon(put, number)
            await trio.testing.wait_all_tasks_blocked()
            assert (len(failures), disk.statistics().pending) == (count - 8, 8)
            assert failures[0] == f"{8 * size} bytes are waiting to be written to the disk"
            burst.start_soon(disk.purge, Selector("all"))
            burst.start_soon(disk.get, "k1")
            await trio.testing.wait_all_tasks_blocked()
            assert disk.statistics().pending == 10
            await services.start(disk.run)
        assert disk.statistics().given_up == count - 8
        await put(count)
        assert len(failures) == count - 8
        assert await disk.get(f"k{count}") is not None
        services.cancel_scope.cancel()


async def test_one_entry_that_is_larger_than_the_bound_is_written_when_nothing_else_waits(tmp_path: Path) -> None:
    """The bound is about what piles up: it does not make an entry impossible."""
    section = DiskSection.model_validate({"path": str(tmp_path / "cache.db"), "max_size": "1GB"})
    async with trio_asyncio.open_loop(), open_disk(section, Clock()) as disk, trio.open_nursery() as services:
        await services.start(disk.run)
        await disk.put({"large": entry(bytes(MAX_BYTES + 1))})
        assert await disk.get("large") is not None
        services.cancel_scope.cancel()


@pytest.mark.parametrize("soft", [False, True])
async def test_no_read_overtakes_a_purge(tmp_path: Path, *, soft: bool) -> None:
    """Where writes are held back, what was purged must not be found again: it would be kept in memory from then on."""
    async with opened(tmp_path / "cache.db") as disk, trio.open_nursery() as nursery:
        await disk.put({"k": entry(tags=("t",)), "other": entry()})
        found: dict[str, Entry | None] = {}
        done = trio.Event()

        async def get(key: str) -> None:
            found[key] = await disk.get(key)
            done.set()

        with disk._queue.writes_held_back():
            before = await disk.get("k")
            assert before is not None
            nursery.start_soon(partial(disk.purge, Selector("tag", "t"), soft=soft))
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(get, "k")
            await disk.do(Kind.MOVE, lambda _: None)  # what the end of the holding waits for goes on
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert found == {}
        with trio.fail_after(10):
            await done.wait()
        after = found["k"]
        assert after is None if not soft else after is not None and after.fresh_until < before.fresh_until
        assert await disk.get("other") is not None


def test_reads_come_after_the_changes_before_them() -> None:
    """Also after those that are too large for one transaction."""
    small, large = Job(Kind.READ, bool), Job(Kind.CHANGE, bool, weight=5_000_000)
    batch = [small, large, Job(Kind.CHANGE, bool, weight=5_000_000), Job(Kind.READ, bool)]
    assert [kind for kind, _ in parted(batch)] == [Kind.CHANGE, Kind.CHANGE, Kind.READ]
