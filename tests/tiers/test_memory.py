from __future__ import annotations

from collections import OrderedDict

import trio
import trio.testing
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.pipeline.clock import Clock
from gateway.pipeline.freshness import new_entry
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Entry, Policy
from gateway.profile.tiers import MemoryTier as MemorySection
from gateway.tiers.memory import OVERHEAD, MemoryTier

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
    assert tier.evictions == 1


async def test_bytes_are_bounded(autojump_clock: trio.testing.MockClock) -> None:
    """The payloads, keys and bookkeeping together stay under max_size."""
    tier = memory(Clock(lambda: 0.0), max_size="100KB")
    for number in range(1000):
        tier.put(f"key-{number}", entry(1000))
    assert 90_000 < tier.size <= 100_000
    assert tier.get("key-999") is not None


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
    assert (len(tier), tier.size) == (0, 0)


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
        self.model.pop(key, None)
        self.model[key] = value
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
        assert self.tier.size == self._size()
        assert len(self.tier) == len(self.model)

    def _size(self) -> int:
        return sum(len(value.payload) + key.__sizeof__() + OVERHEAD for key, value in self.model.items())


TestMemoryAgainstModel = MemoryAgainstModel.TestCase
