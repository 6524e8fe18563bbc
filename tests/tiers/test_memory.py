from __future__ import annotations

import tracemalloc
from collections import OrderedDict

import pytest
import trio
import trio.testing
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.pipeline.clock import Clock
from gateway.pipeline.freshness import new_entry
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Entry, Policy, Priority
from gateway.profile.tiers import MemoryTier as MemorySection
from gateway.tiers.memory import OVERHEAD, MemoryTier, cost_of

POLICY = Policy("s", ttl=1000, stale_while_revalidate=50)


def memory(clock: Clock, **section: object) -> MemoryTier:
    return MemoryTier(MemorySection.model_validate(section), clock)


def entry(size: int = 10, tags: tuple[str, ...] = (), stored_at: float = 0.0) -> Entry:
    return new_entry(bytes(size), POLICY, stored_at, tags=tags)


async def test_the_least_recently_used_goes_first(autojump_clock: trio.testing.MockClock) -> None:
    """A full tier gives up what was not asked for the longest."""
    tier = memory(Clock(lambda: 0.0), max_items=3)
    for key in "abc":
        tier.put(key, entry())
    tier.get("a")
    tier.put("d", entry())
    assert [tier.get(key) is not None for key in "abcd"] == [True, False, True, True]
    assert tier.statistics().evictions == 1


async def test_bytes_are_bounded(autojump_clock: trio.testing.MockClock) -> None:
    """The payloads, keys and bookkeeping together stay under max_size."""
    tier = memory(Clock(lambda: 0.0), max_size="100KB")
    for number in range(1000):
        tier.put(f"key-{number}", entry(1000))
    assert 90_000 < tier.statistics().size <= 100_000
    assert tier.get("key-999") is not None


async def test_what_is_made_of_an_entry_counts_and_goes_with_it(autojump_clock: trio.testing.MockClock) -> None:
    """It takes room, for which others go; another entry, a soft purge or a new value ends it."""
    tier = memory(Clock(lambda: 0.0), max_size="100KB")
    for number in range(50):
        tier.put(f"key-{number}", entry(1000))
    before = tier.statistics()
    slot = tier.held("key-49")
    assert slot is not None
    tier.attach(slot, "made", 40_000)
    assert tier.statistics().size <= 100_000
    assert before.size + 39_000 < tier.statistics().size + 1500 * tier.statistics().evictions
    assert tier.held("key-49") is slot
    assert slot.made == "made"
    tier.put("key-49", entry(1000))
    assert slot.made is None
    tier.attach(slot, "made", 10_000)
    held = tier.statistics().size
    assert tier.purge(Selector("key", "key-49"), soft=True) == 1
    assert slot.made is None
    assert tier.statistics().size <= held - 10_000


async def test_a_slot_that_is_used_is_a_hit(autojump_clock: trio.testing.MockClock) -> None:
    """To look at it is none; to use it counts and keeps it, as `get` does."""
    tier = memory(Clock(lambda: 0.0), max_items=2)
    tier.put("a", entry())
    tier.put("b", entry())
    slot = tier.held("a")
    assert slot is not None
    assert tier.meter.hits == 0
    tier.use(slot, 0.0)
    tier.put("c", entry())
    assert tier.meter.hits == 1
    assert [tier.held(key) is not None for key in "abc"] == [True, False, True]


async def test_long_tags_are_counted_and_not_kept_longer_than_their_entry(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A tag that holds an argument is as long as its caller likes: thousands of them stay within max_size."""
    tier = memory(Clock(lambda: 0.0), max_size="1MB")
    tracemalloc.start()
    try:
        for number in range(1000):
            tier.put(f"key-{number}", entry(tags=(f"query:{number}" + "x" * 20_000,)))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 40 < len(tier) < 50
    assert used < 1_200_000


async def test_an_entry_that_can_never_fit_evicts_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """One huge answer does not empty the cache, and replaces nothing but its own older self."""
    tier = memory(Clock(lambda: 0.0), max_size="10KB")
    tier.put("small", entry())
    tier.put("huge", entry())
    tier.put("huge", entry(20_000))
    assert tier.get("small") is not None
    assert tier.get("huge") is None


async def test_an_entry_is_fresh_here_for_the_tiers_ttl_at_most(autojump_clock: trio.testing.MockClock) -> None:
    """After the tier's ttl the entry is stale, after its window it is gone; until then it shows its own freshness."""
    tier = memory(Clock(lambda: 0.0), ttl="100s")
    tier.put("k", entry())
    await trio.sleep(99)
    found = tier.get("k")
    assert found is not None
    assert found.fresh_until == 1000
    await trio.sleep(1)
    found = tier.get("k")
    assert found is not None
    assert found.fresh_until == 100
    await trio.sleep(50)
    assert tier.get("k") is None
    assert len(tier) == 0


async def test_a_purge_takes_what_it_names(autojump_clock: trio.testing.MockClock) -> None:
    """By key, by tag, or all; it says how many there were."""
    tier = memory(Clock(lambda: 0.0))
    for key, tags in {"a": ("t",), "b": ("t", "u"), "c": ("u",), "d": ()}.items():
        tier.put(key, entry(tags=tags))
    assert tier.purge(Selector("key", "d")) == 1
    assert tier.purge(Selector("tag", "t")) == 2
    assert tier.purge(Selector("all")) == 1
    assert (len(tier), tier.statistics().size) == (0, 0)


class MemoryAgainstModel(RuleBasedStateMachine):
    """Puts, gets and purges in any order: the tier holds what a plain LRU of the same limits holds."""

    keys = st.sampled_from("abcdefgh")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.tier: MemoryTier
        self.model: OrderedDict[str, Entry] = OrderedDict()

        class StillClock(Clock):
            """A clock that only the test moves; made without a running Trio."""

            def __init__(self) -> None:
                pass

            def __call__(self) -> float:
                return 0.0

        self.tier = memory(StillClock(), max_items=5, max_size="3KB")

    @rule(key=keys, size=st.integers(0, 1500))
    def put(self, key: str, size: int) -> None:
        value = entry(size)
        self.tier.put(key, value)
        self.model[key] = value  # a replaced entry keeps its place: nobody asked for it
        while len(self.model) > 5 or self._size() > 3000:
            self.model.popitem(last=False)

    @rule(key=keys)
    def get(self, key: str) -> None:
        found = self.tier.get(key)
        assert found is self.model.get(key)
        if found is not None:
            self.model.move_to_end(key)

    @rule(key=keys)
    def purge(self, key: str) -> None:
        assert self.tier.purge(Selector("key", key)) == (key in self.model)
        self.model.pop(key, None)

    @invariant()
    def the_size_is_the_sum(self) -> None:
        assert self.tier.statistics().size == self._size()
        assert len(self.tier) == len(self.model)

    def _size(self) -> int:
        return sum(cost_of(key, value) for key, value in self.model.items())


TestMemoryAgainstModel = MemoryAgainstModel.TestCase


async def test_resizing_while_in_use(autojump_clock: trio.testing.MockClock) -> None:
    """A smaller tier gives up at once what has no room any more; a larger one has room for more."""
    tier = memory(Clock(lambda: 0.0), max_items=10)
    for number in range(10):
        tier.put(str(number), entry())
    tier.resize(max_size=1_000_000, max_items=4)
    assert [tier.get(str(number)) is not None for number in range(10)] == [False] * 6 + [True] * 4
    tier.resize(max_size=1_000_000, max_items=20)
    for number in range(20):
        tier.put(str(number), entry())
    assert len(tier) == 20
    tier.resize(max_size=2_000, max_items=20)
    assert tier.statistics().size <= 2_000


@pytest.mark.parametrize("algorithm", ["lru", "adaptive"])
async def test_low_priority_goes_first(autojump_clock: trio.testing.MockClock, algorithm: str) -> None:
    """When there is no room, low goes before medium before high, however recently it was used."""
    tier = memory(Clock(lambda: 0.0), max_items=6, algorithm=algorithm)
    for priority in Priority:
        for number in range(2):
            policy = Policy("s", ttl=1000, priority=priority)
            tier.put(f"{priority.name}-{number}", new_entry(b"", policy, 0.0))
    tier.get("LOW-0")
    tier.get("LOW-1")
    for number in range(4):
        tier.put(f"new-{number}", new_entry(b"", Policy("s", ttl=1000, priority=Priority.HIGH), 0.0))
    assert [tier.peek(f"LOW-{number}") for number in range(2)] == [None, None]
    assert all(tier.peek(f"HIGH-{number}") for number in range(2))


@pytest.mark.parametrize("algorithm", ["lru", "adaptive"])
async def test_bookkeeping_stays_within_what_it_is_counted_as(
    autojump_clock: trio.testing.MockClock, algorithm: str
) -> None:
    """What an entry costs beyond its payload and key is no more than OVERHEAD, measured, in a full and busy tier."""
    count = 20_000
    tier = memory(Clock(lambda: 0.0), max_items=count, max_size="1GB", algorithm=algorithm, curve=False)
    tags = ("tool:t", "strategy:s", "upstream:u")
    keys = [f"result:get_component_props@b5492bf846f4:{number:020d}" for number in range(2 * count)]
    payload = bytes(100)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number, key in enumerate(keys):
            tier.put(key, new_entry(payload, POLICY, float(number), tags=(*tags, f"c:{number % 7}")))
            tier.get(keys[number // 2])
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(tier) == count
    assert (after - before) / count <= OVERHEAD


async def test_what_is_made_of_an_entry_counts(autojump_clock: trio.testing.MockClock) -> None:
    """Others have to go for it, and it goes when the entry is replaced; what has no room is not kept."""
    tier = memory(Clock(lambda: 0.0), max_size="4KB")
    for key in "abc":
        tier.put(key, entry(300))
    size, slot = tier.statistics().size, tier.held("c")
    assert slot is not None
    tier.attach(slot, "made", 2000)
    assert slot.made == "made"
    assert [tier.peek(key) is not None for key in "abc"] == [False, True, True]
    tier.attach(slot, "larger", 4000)
    assert slot.made is None
    assert tier.statistics().size < size
    tier.attach(slot, "again", 1000)
    tier.put("c", entry(300))
    assert slot.made is None
    assert tier.statistics().size < size


@pytest.mark.parametrize("algorithm", ["lru", "adaptive"])
async def test_an_entry_may_have_to_go_for_what_is_made_of_it(
    autojump_clock: trio.testing.MockClock, algorithm: str
) -> None:
    """Where it is worth least; the tier's books are right then, too."""
    tier = memory(Clock(lambda: 0.0), max_size="4KB", algorithm=algorithm)
    for key in "abcd":
        tier.put(key, entry(300))
    slot = tier.held("a")
    assert slot is not None
    tier.attach(slot, "made", 2000)
    assert tier.held("a") is None
    statistics = tier.statistics()
    assert (statistics.entries, statistics.size) == (statistics.eviction.entries, statistics.eviction.cost)


async def test_a_limit_that_was_moved_outlives_a_section_that_says_nothing_new() -> None:
    """Who moves a limit while it runs is overruled by what a profile says anew, and by nothing else."""
    section = MemorySection.model_validate({"max_size": "10KB", "max_items": 10})
    tier = MemoryTier(section, Clock())
    tier.resize(15_000, 15)
    tier.adjust(section.model_copy(update={"ttl": 5.0}))
    assert tier.limits == (15_000, 15)
    tier.adjust(section.model_copy(update={"max_size": 20_000}))
    assert tier.limits == (20_000, 10)
