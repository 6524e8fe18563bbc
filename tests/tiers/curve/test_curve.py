"""The miss-ratio curve of the memory tier against tiers that really have those sizes, on generated traces."""

from __future__ import annotations

import random
import tracemalloc
from bisect import bisect
from collections.abc import Callable, Sequence
from functools import cache
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.pipeline.clock import Clock
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Entry, Priority
from gateway.profile.tiers import MemoryTier as MemorySection
from gateway.tiers.curve import Curve, CurvePoint
from gateway.tiers.memory import MemoryTier

CLOSE = 0.03
FACTORS = (0.5, 1.0, 2.0, 4.0)


class Times(Clock):
    """A clock that is set by hand."""

    __slots__ = ("now",)

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def tier(clock: Clock | None = None, **section: object) -> MemoryTier:
    about = MemorySection.model_validate({"max_size": "1GB", "ttl": "3650d", **section})
    return MemoryTier(about, clock or Times())


@cache
def size_of(key: str) -> int:
    """Payloads from nothing to 4 kB, the same for the same key."""
    return int(random.Random(key).paretovariate(1.3) * 100) % 4000


@cache
def entry_of(key: str) -> Entry:
    return Entry(bytes(size_of(key)), 1000.0, 1e12, priority=Priority.MEDIUM)


def play(memory: MemoryTier, keys: Sequence[str], entry: Callable[[str], Entry]) -> float:
    """The hit rate of a tier that is asked for `keys` and given what it does not have."""
    hits = 0
    for key in keys:
        if memory.get(key) is None:
            memory.put(key, entry(key))
        else:
            hits += 1
    return hits / len(keys)


def curve_of(memory: MemoryTier) -> Curve:
    curve = memory.curve()
    assert curve is not None
    return curve


def others(curve: Curve) -> list[CurvePoint]:
    """The points but the one at the tier's own size, which says what happened (a test of its own)."""
    return [point for point in curve.points if point.factor != 1.0]


def zipf(count: int, keys: int, skew: float, seed: int) -> list[str]:
    """Requests of which the n-th most popular key gets a part of n ** -skew."""
    source = random.Random(seed)
    weights = list(accumulate((rank + 1) ** -skew for rank in range(keys)))
    return [f"key-{bisect(weights, source.random() * weights[-1])}" for _ in range(count)]


def with_scans(count: int, seed: int) -> list[str]:
    """Popular keys, and now and then a run over keys that nobody asks for again."""
    requests = zipf(count, 2000, 0.9, seed)
    for number, start in enumerate(range(0, count, 5000)):
        requests[start : start + 800] = [f"scan-{number}-{each}" for each in range(800)]
    return requests


def loop(count: int, keys: int) -> list[str]:
    return [f"key-{number % keys}" for number in range(count)]


def moving(count: int, seed: int) -> list[str]:
    """A working set that moves on."""
    source = random.Random(seed)
    return [f"key-{int(number / 20 + source.expovariate(1 / 500))}" for number in range(count)]


TRACES = {
    "zipf": zipf(30_000, 10_000, 0.9, seed=1),
    "skewed": zipf(30_000, 10_000, 1.2, seed=2),
    "flat": zipf(30_000, 1_500, 0.3, seed=3),
    "scans": with_scans(60_000, seed=4),
    "loop": loop(20_000, 900),
    "moving": moving(20_000, seed=5),
}


@pytest.mark.parametrize("algorithm", ["lru", "adaptive"])
@pytest.mark.parametrize("trace", TRACES)
def test_it_is_true_for_a_number_of_entries(trace: str, algorithm: str) -> None:
    """For a limit of entries, each point is close to the hit rate of a tier that has that limit."""
    keys, items = TRACES[trace], 400
    memory = tier(max_items=items, algorithm=algorithm)
    play(memory, keys, entry_of)
    for point in others(curve_of(memory)):
        truly = play(tier(max_items=round(items * point.factor), algorithm=algorithm, curve=False), keys, entry_of)
        assert point.hit_rate == pytest.approx(truly, abs=CLOSE), point.factor


@pytest.mark.parametrize("algorithm", ["lru", "adaptive"])
@pytest.mark.parametrize("trace", ["zipf", "scans"])
def test_it_is_true_for_bytes_and_entries_of_many_sizes(trace: str, algorithm: str) -> None:
    """For a limit of bytes and entries from some bytes to 4 kB it is as close, and tells the bytes of each size."""
    keys, size = TRACES[trace], 300_000
    memory = tier(max_size=f"{size}B", algorithm=algorithm)
    play(memory, keys, entry_of)
    assert [point.size_bytes for point in curve_of(memory).points] == [size * factor for factor in FACTORS]
    for point in others(curve_of(memory)):
        other = tier(max_size=f"{point.size_bytes}B", algorithm=algorithm, curve=False)
        assert point.hit_rate == pytest.approx(play(other, keys, entry_of), abs=CLOSE), point.factor


def test_a_large_tier_is_sampled() -> None:
    """With tens of thousands of entries only a part of the keys is looked at, and it is still true."""
    keys, items = zipf(75_000, 60_000, 0.8, seed=6), 10_000
    memory = tier(max_items=items)
    play(memory, keys, entry_of)
    curve = curve_of(memory)
    assert curve.sampled < 0.2
    for point in others(curve):
        truly = play(tier(max_items=round(items * point.factor), curve=False), keys, entry_of)
        assert point.hit_rate == pytest.approx(truly, abs=CLOSE), point.factor


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.2, 1.3), st.integers(100, 1500), st.integers(500, 8000))
def test_any_popularity(seed: int, skew: float, items: int, keys: int) -> None:
    """However popular keys are and however much room there is, it is close under LRU."""
    requests = zipf(12_000, keys, skew, seed)
    memory = tier(max_items=items)
    play(memory, requests, entry_of)
    for point in others(curve_of(memory)):
        truly = play(tier(max_items=round(items * point.factor), curve=False), requests, entry_of)
        assert point.hit_rate == pytest.approx(truly, abs=CLOSE), point.factor


def test_the_present_size_is_what_happened() -> None:
    """At its own size the curve says what hit rate the tier had, to the last request."""
    memory = tier(max_items=300)
    rate = play(memory, TRACES["zipf"], entry_of)
    curve = curve_of(memory)
    assert next(point for point in curve.points if point.factor == 1).hit_rate == pytest.approx(rate)
    assert curve.accesses == len(TRACES["zipf"])


def test_entries_that_expire_are_misses_at_any_size() -> None:
    """Where answers do not live long, more room does not help beyond that."""
    keys, clock = TRACES["zipf"][:20_000], Times()

    def replay(**section: Any) -> tuple[MemoryTier, float]:
        clock.now = 1000.0
        memory, hits = tier(clock, **section), 0
        for key in keys:
            clock.now += 0.01
            if memory.get(key) is None:
                memory.put(key, Entry(b"", clock.now, clock.now + 20))
            else:
                hits += 1
        return memory, hits / len(keys)

    memory, _ = replay(max_items=300)
    for point in curve_of(memory).points:
        _, truly = replay(max_items=round(300 * point.factor), curve=False)
        assert point.hit_rate == pytest.approx(truly, abs=CLOSE), point.factor


def test_a_read_of_a_stale_entry_is_a_hit() -> None:
    """What counts is that there was an entry that may still be used, as in the tier's own counters."""
    clock = Times()
    memory = tier(clock)
    memory.put("key", Entry(b"", 1000.0, 1010.0, stale_if_error=100.0))
    clock.now = 1050.0
    assert memory.get("key") is not None
    assert {point.hit_rate for point in curve_of(memory).points} == {1.0}


@pytest.mark.parametrize("kind", ["all", "key"])
def test_what_was_purged_is_gone_at_any_size(kind: str) -> None:
    """After a purge the next request is a miss everywhere."""
    memory = tier()
    memory.put("key", entry_of("key"))
    assert memory.get("key") is not None
    memory.purge(Selector("all") if kind == "all" else Selector("key", "key"))
    assert memory.get("key") is None
    assert {point.hit_rate for point in curve_of(memory).points} == {0.5}


def test_a_load_that_fails_fills_no_size() -> None:
    """A request for what was never put is a miss at any size, however often it is made."""
    memory = tier()
    for _ in range(100):
        assert memory.get("absent") is None
    assert {point.hit_rate for point in curve_of(memory).points} == {0.0}


def test_new_limits_begin_a_new_curve() -> None:
    """After a resize the points are about multiples of the new size, and old requests do not count."""
    memory = tier(max_items=300)
    play(memory, TRACES["zipf"][:5000], entry_of)
    memory.resize(1_000_000, 600)
    assert curve_of(memory).accesses == 0
    assert [point.size_bytes for point in curve_of(memory).points] == [500_000, 1_000_000, 2_000_000, 4_000_000]
    play(memory, TRACES["zipf"][5000:20_000], entry_of)
    rates = [point.hit_rate for point in curve_of(memory).points]
    assert rates == sorted(rates)


def test_it_can_be_turned_off() -> None:
    """With `curve = false` there is none, and nothing is recorded."""
    memory = tier(curve=False)
    play(memory, TRACES["zipf"][:100], entry_of)
    assert memory.curve() is None


def test_nothing_asked_is_nothing_known() -> None:
    """Without a request the curve is about none."""
    curve = curve_of(tier())
    assert curve.accesses == 0
    assert {point.hit_rate for point in curve.points} == {0.0}


@pytest.mark.parametrize("algorithm", ["lru", "adaptive"])
def test_memory_is_bounded(algorithm: str) -> None:
    """However many keys there are and however long they are, it takes about 2 MB beyond the tier itself."""
    keys = [f"{number:0500d}" for number in range(15_000)]
    taken = []
    for curve in (False, True):
        tracemalloc.start()
        try:
            memory = tier(max_items=3000, algorithm=algorithm, curve=curve)
            for number, key in enumerate(keys):
                memory.get(key)
                memory.put(key, Entry(b"", 1000.0, 1e12))
                memory.get(keys[number // 2])
            taken.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
    assert taken[1] - taken[0] < 2_600_000


def test_entries_that_nobody_asked_for_leave_nothing_behind() -> None:
    """What is only put, as by an import, is not remembered until somebody asks: no more than the tier's 400 bytes."""
    memory = tier(max_items=100_000)
    tracemalloc.start()
    try:
        for number in range(2_000):
            memory.put(f"key-{number}", Entry(b"", 1000.0, 1e12))
        before, _ = tracemalloc.get_traced_memory()
        for number in range(2_000, 22_000):
            memory.put(f"key-{number}", Entry(b"", 1000.0, 1e12))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / 20_000 < 400
