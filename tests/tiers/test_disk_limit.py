from __future__ import annotations

from pathlib import Path

from gateway.pipeline.clock import Clock
from gateway.pipeline.model import Entry, Priority
from gateway.profile.tiers import DiskTier as DiskSection
from gateway.tiers.disk import DiskTier
from gateway.watch.janitor import Janitor
from tests.tiers.rig import Wall, opened

LIMIT = 400_000


def noise(wall: Wall, priority: Priority = Priority.MEDIUM, size: int = 1500) -> Entry:
    return Entry(b"\x01" * size, wall.now, wall.now + 1e6, priority=priority)


async def put_many(disk: DiskTier, wall: Wall, prefix: str, priority: Priority, count: int) -> None:
    for number in range(count):
        await disk.put({f"{prefix}{number}": noise(wall, priority)})
        wall.now += 1


async def present(disk: DiskTier, prefix: str, count: int) -> list[int]:
    return [number for number in range(count) if await disk.get(f"{prefix}{number}") is not None]


async def test_the_file_stays_near_its_limit_while_writes_outrun_the_janitor(tmp_path: Path) -> None:
    """Writers make room themselves once it is passed by a twentieth; the janitor brings it below."""
    wall = Wall()
    async with opened(tmp_path / "cache.db", Clock(wall), max_size="400KB", compression_threshold="1MB") as disk:
        for number in range(600):
            await disk.put({f"k{number}": noise(wall)})
            assert disk.statistics().bytes_used <= LIMIT * 1.05 + 20_000
        assert disk.statistics().bytes_used > LIMIT
        await Janitor(disk, 1.0).clean_up()
        assert LIMIT * 0.9 < disk.statistics().bytes_used <= LIMIT
        assert disk.statistics().evicted == 600 - disk.statistics().entries


async def test_the_lowest_priority_goes_first_and_the_highest_goes_last(tmp_path: Path) -> None:
    """Low before medium before high, whatever came first; high goes when there is nothing lower."""
    wall = Wall()
    section = {"max_size": "400KB", "compression_threshold": "1MB"}
    async with opened(tmp_path / "cache.db", Clock(wall), **section) as disk:
        await put_many(disk, wall, "high", Priority.HIGH, 40)
        await put_many(disk, wall, "low", Priority.LOW, 100)
        await put_many(disk, wall, "medium", Priority.MEDIUM, 60)
        await Janitor(disk, 1.0).clean_up()
        assert len(await present(disk, "high", 40)) == 40
        assert len(await present(disk, "medium", 60)) == 60
        assert len(await present(disk, "low", 100)) < 80
        await put_many(disk, wall, "more", Priority.HIGH, 200)
        await Janitor(disk, 1.0).clean_up()
        assert await present(disk, "low", 100) == []
        assert await present(disk, "medium", 60) == []
        assert await present(disk, "high", 40) == []
        assert 199 in await present(disk, "more", 200)


async def test_what_was_read_lately_stays(tmp_path: Path) -> None:
    """A read counts as use once the janitor has written it down, in one go with others."""
    wall = Wall()
    async with opened(tmp_path / "cache.db", Clock(wall), max_size="400KB", compression_threshold="1MB") as disk:
        await put_many(disk, wall, "k", Priority.MEDIUM, 100)
        wall.now += 100
        assert await present(disk, "k", 20) == list(range(20))
        await Janitor(disk, 1.0).clean_up()
        wall.now += 1
        await put_many(disk, wall, "new", Priority.MEDIUM, 130)
        await Janitor(disk, 1.0).clean_up()
        left = await present(disk, "k", 100)
        assert left[:20] == list(range(20))
        assert 20 not in left


async def test_an_entry_that_is_larger_than_the_file_is_not_kept_nor_what_it_replaces(tmp_path: Path) -> None:
    """Nothing is evicted for what can't stay, and the older answer is not served in its place."""
    wall = Wall()
    async with opened(tmp_path / "cache.db", Clock(wall), max_size="400KB", compression_threshold="1MB") as disk:
        await disk.put({"a": noise(wall), "b": noise(wall)})
        await disk.put({"a": noise(wall, size=LIMIT + 1)})
        assert await disk.get("a") is None
        assert await disk.get("b") is not None


async def test_large_entries_are_not_evicted_by_the_dozen(tmp_path: Path) -> None:
    """Eviction stops as soon as there is room, in the middle of a bit, too."""
    wall = Wall()
    section = {"max_size": "10MB", "compression_threshold": "1GB"}
    async with opened(tmp_path / "cache.db", Clock(wall), **section) as disk:
        for number in range(11):
            await disk.put({f"k{number}": noise(wall, size=1_000_000)})
            wall.now += 1
        await Janitor(disk, 1.0).clean_up()
        assert disk.statistics().entries == 9


async def test_freed_pages_go_back_to_the_file_system(tmp_path: Path) -> None:
    """After a purge the file shrinks, and its WAL is cut."""
    wall = Wall()
    async with opened(tmp_path / "cache.db", Clock(wall), compression_threshold="1MB") as disk:
        for number in range(20):
            await disk.put({f"k{number}:{other}": noise(wall, size=5000) for other in range(50)})
        before = disk.statistics()
        wall.now += 2e6
        await Janitor(disk, 1.0).clean_up()
        after = disk.statistics()
    assert before.file_bytes > 5_000_000
    assert after.file_bytes < 1_500_000
    assert (after.entries, after.expired) == (0, 1000)


async def test_a_limit_that_was_moved_outlives_a_section_that_says_nothing_new(tmp_path: Path) -> None:
    """Who moves the limit while it runs is overruled by what a profile says anew, and by nothing else."""
    section = DiskSection.model_validate({"path": str(tmp_path / "cache.db"), "max_size": "1MB"})
    async with opened(tmp_path / "cache.db", max_size="1MB") as disk:
        disk.resize(1_500_000)
        disk.adjust(section.model_copy(update={"ttl": 5.0}), 50)
        assert disk.max_size == 1_500_000
        curve = disk.curve()
        assert curve is not None
        assert [point.size_bytes for point in curve.points if point.factor == 1] == [1_500_000]
        disk.adjust(section.model_copy(update={"max_size": 2_000_000}), 50)
        assert disk.max_size == 2_000_000
