from __future__ import annotations

import itertools
from pathlib import Path

import structlog.testing
import trio
import trio.lowlevel
import trio.testing

from gateway.pipeline.clock import Clock
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Entry
from gateway.tiers.disk import DiskTier
from gateway.tiers.disk_batch import Kind
from gateway.tiers.disk_slices import TARGET
from gateway.tiers.disk_upkeep import Pace
from gateway.watch.janitor import Janitor
from tests.tiers.rig import Wall, entry, opened


async def until_empty(disk: DiskTier) -> None:
    """Ask the tier until the janitor has done its work."""
    while disk.statistics().entries:
        await disk.get("nothing")


async def test_it_cleans_up_at_once_and_then_every_interval(tmp_path: Path) -> None:
    """What has expired goes, without anybody asking for it."""
    wall = Wall()
    async with opened(tmp_path / "cache.db", Clock(wall)) as disk, trio.open_nursery() as nursery:
        await disk.put({"old": Entry(b"x", wall.now - 10, wall.now - 5)})
        await nursery.start(Janitor(disk, 0.01).run)
        await until_empty(disk)
        await disk.put({"old": Entry(b"x", wall.now - 10, wall.now - 5)})
        await until_empty(disk)
        assert disk.statistics().expired == 2
        nursery.cancel_scope.cancel()


async def test_it_comes_before_its_time_when_there_is_something_to_do(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    """A purge of everything leaves rows to delete, which does not wait for the next round."""
    async with opened(tmp_path / "cache.db") as disk, trio.open_nursery() as nursery:
        await nursery.start(Janitor(disk, 3600.0).run)
        await disk.put({f"k{number}": entry() for number in range(100)})
        mock_clock.jump(2)
        await disk.purge(Selector("all"))
        await until_empty(disk)
        nursery.cancel_scope.cancel()


async def test_a_failing_disk_is_tried_again(tmp_path: Path) -> None:
    """The failure is logged, and the janitor goes on."""
    wall = Wall()
    with structlog.testing.capture_logs() as logs:
        async with opened(tmp_path / "cache.db", Clock(wall)) as disk, trio.open_nursery() as nursery:
            await disk.put({"old": Entry(b"x", wall.now - 10, wall.now - 5)})
            await disk.learn_keys()
            await disk.do(Kind.READ, lambda store: store.connection.execute("DROP TABLE entries"))
            await nursery.start(Janitor(disk, 0.01).run)
            while disk.statistics().set_aside == 0:
                await trio.lowlevel.checkpoint()
            await disk.put({"old": Entry(b"x", wall.now - 10, wall.now - 5)})
            await until_empty(disk)
            nursery.cancel_scope.cancel()
    assert [line["event"] for line in logs if line["event"] == "cleanup failed"] == ["cleanup failed"]


async def test_requests_are_served_between_the_bits(tmp_path: Path) -> None:
    """A thousand rows are deleted in many transactions, and a read gets its turn after each."""
    wall = Wall()
    async with opened(tmp_path / "cache.db", Clock(wall)) as disk:
        await disk.put({f"k{number}": Entry(b"x", wall.now - 10, wall.now - 5) for number in range(3000)})
        counts = []
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                while disk.statistics().entries:
                    await disk.get("k0")
                    counts.append(disk.statistics().entries)

            nursery.start_soon(ask)
            await Janitor(disk, 1.0).clean_up()
        assert len(set(counts)) > 2


def test_a_bit_grows_while_it_is_short_and_shrinks_when_it_is_long() -> None:
    """The number of rows follows the time that they took, not more than half as much again, and never to nothing."""
    pace = Pace()
    sizes = [pace.size]
    for _ in range(20):
        pace.settle(pace.size, 0.0001)
        sizes.append(pace.size)
    assert all(after <= 1.5 * before + 1 for before, after in itertools.pairwise(sizes))
    assert sizes[-1] == 256
    pace.settle(256, TARGET * 10)
    assert pace.size == 25
    for _ in range(20):
        pace.settle(pace.size, 1.0)
    assert pace.size == 1
    pace.settle(0, 0.0001)
    assert pace.size == 1
