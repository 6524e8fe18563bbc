"""The curve of the disk tier, on a real file."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from gateway.pipeline.invalidation import Selector
from gateway.tiers.curve import Curve
from gateway.tiers.disk import DiskTier
from tests.tiers.rig import entry, opened


def curve_of(disk: DiskTier) -> Curve:
    curve = disk.curve()
    assert curve is not None
    return curve


async def play(path: Path, max_size: int) -> tuple[float, Curve]:
    """The hit rate of a disk tier of that size for a fixed sequence of requests, and its curve."""
    source = random.Random(7)
    payloads = {f"key-{number}": source.randbytes(500 + number % 2000) for number in range(1000)}
    hits = requests = 0
    async with opened(path, max_size=f"{max_size}B") as disk:
        for _ in range(2500):
            key = f"key-{int(1000 * source.random() ** 3)}"
            requests += 1
            if await disk.get(key) is None:
                await disk.put({key: entry(payloads[key])})
            else:
                hits += 1
        return hits / requests, curve_of(disk)


async def test_it_is_true_for_a_file(tmp_path: Path) -> None:
    """Each point is close to the hit rate of a file that may be that large."""
    truly, curve = await play(tmp_path / "1.db", 280_000)
    assert [point.size_bytes for point in curve.points] == [140_000, 280_000, 560_000, 1_120_000]
    assert curve.points[1].hit_rate == pytest.approx(truly)
    for number in (0, 2, 3):
        point = curve.points[number]
        other, _ = await play(tmp_path / f"other-{number}.db", point.size_bytes)
        assert point.hit_rate == pytest.approx(other, abs=0.05), point.factor


async def test_what_was_purged_is_gone_at_any_size(tmp_path: Path) -> None:
    """After a purge of a key or of all, the next request is a miss everywhere."""
    async with opened(tmp_path / "cache.db") as disk:
        for selector in (Selector("key", "key"), Selector("all")):
            await disk.put({"key": entry()})
            assert await disk.get("key") is not None
            await disk.purge(selector)
            assert await disk.get("key") is None
        assert {point.hit_rate for point in curve_of(disk).points} == {0.5}


async def test_what_was_there_before_is_seen_when_it_is_asked_for(tmp_path: Path) -> None:
    """Entries of an earlier run count as hits."""
    async with opened(tmp_path / "cache.db") as disk:
        await disk.put({"key": entry()})
    async with opened(tmp_path / "cache.db") as disk:
        for _ in range(10):
            assert await disk.get("key") is not None
        rates = {point.factor: point.hit_rate for point in curve_of(disk).points}
    assert rates == {0.5: 1.0, 1.0: 1.0, 2.0: 1.0, 4.0: 1.0}


async def test_it_can_be_turned_off(tmp_path: Path) -> None:
    """With `curve = false` there is none."""
    async with opened(tmp_path / "cache.db", curve=False) as disk:
        assert await disk.get("key") is None
        assert disk.curve() is None
