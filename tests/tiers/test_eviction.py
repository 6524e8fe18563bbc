from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from itertools import accumulate
from typing import ClassVar, TypeAlias

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.tiers.eviction import Adaptive, EvictionPolicy, Lru, Node
from gateway.tiers.eviction.adaptive import BATCH, GHOSTS, SAMPLE
from gateway.tiers.eviction.ghosts import WAYS, Ghosts
from gateway.tiers.eviction.policy import LEVELS, mark_of

LOW, MEDIUM, HIGH = range(LEVELS)
Algorithm: TypeAlias = type[Lru[Node]] | type[Adaptive[Node]]
both = pytest.mark.parametrize("algorithm", [Lru, Adaptive])


class Cache:
    """The least owner that a policy can have: it keeps within two limits."""

    def __init__(self, algorithm: Algorithm, max_items: int, max_cost: int = 10**9) -> None:
        self.policy: EvictionPolicy[Node] = algorithm(max_items, max_cost)
        self.max_items, self.max_cost = max_items, max_cost
        self.nodes: dict[str, Node] = {}
        self.cost = 0
        self.hits = 0

    def get(self, key: str) -> bool:
        node = self.nodes.get(key)
        if node is None:
            return False
        self.policy.hit(node)
        self.hits += 1
        return True

    def put(self, key: str, cost: int = 1, priority: int = MEDIUM) -> None:
        node = self.nodes.get(key)
        self.cost += cost - (node.cost if node else 0)
        if node is not None:
            self.policy.update(node, cost, priority)
        else:
            node = self.nodes[key] = Node(key, cost, priority)
            self.policy.admit(node)
        self.make_room()

    def make_room(self) -> None:
        while len(self.nodes) > self.max_items or self.cost > self.max_cost:
            node = self.policy.victim()
            assert self.nodes.pop(node.key) is node, "gave up an entry that was not there"
            self.cost -= node.cost

    def purge(self, key: str) -> None:
        node = self.nodes.pop(key, None)
        if node is not None:
            self.cost -= node.cost
            self.policy.remove(node)

    def resize(self, max_items: int, max_cost: int) -> None:
        self.max_items, self.max_cost = max_items, max_cost
        self.policy.resize(max_items, max_cost)
        self.make_room()

    def ask(self, keys: Iterable[str], priority: int = MEDIUM) -> float:
        """Get each of `keys`, loading what is missing; the hit ratio."""
        before, asked = self.hits, 0
        for key in keys:
            asked += 1
            if not self.get(key):
                self.put(key, priority=priority)
        return (self.hits - before) / asked


def check(cache: Cache) -> None:
    """The policy's structure agrees with itself and with its owner."""
    statistics = cache.policy.statistics()
    assert statistics.entries == len(cache.nodes)
    assert statistics.cost == cache.cost == sum(node.cost for node in cache.nodes.values())
    if isinstance(cache.policy, Adaptive):
        check_adaptive(cache.policy, cache)


def check_adaptive(policy: Adaptive[Node], cache: Cache) -> None:
    queues = policy._queues
    found: list[Node] = []
    for number, level in enumerate(queues.levels):
        for main, ring in ((False, level.probation), (True, level.main)):
            nodes = list(ring)
            assert ring.items == len(nodes)
            assert ring.cost == sum(node.cost for node in nodes)
            assert all(node.main is main and node.level == number <= node.priority for node in nodes)
            assert all(node.newer and node.newer.older is node for node in nodes)
            found += nodes
    assert len(found) == queues.items
    assert {id(node) for node in found} == {id(node) for node in cache.nodes.values()}
    assert queues.cost == cache.cost
    assert len(queues.ghosts) <= max(WAYS, GHOSTS * policy._planned)
    assert len(policy._sampled) <= SAMPLE
    assert all(
        cache.nodes[node.key] is node and node.sampled and node.mark == mark for mark, node in policy._sampled.items()
    )
    assert sum(node.sampled for node in found) == len(policy._sampled)
    assert all(0 <= node.seen <= queues.now for node in found)
    assert len(policy._asked) <= BATCH + SAMPLE


class Machine(RuleBasedStateMachine):
    """Any requests, purges and new limits against a plain model: what must be there is, and the structure is sound."""

    algorithm: ClassVar[Algorithm]
    keys = st.integers(0, 60).map(str)

    @initialize(max_items=st.integers(1, 40), max_cost=st.integers(1, 400))
    def open(self, max_items: int, max_cost: int) -> None:
        self.cache = Cache(self.algorithm, max_items, max_cost)

    @rule(key=keys)
    def get(self, key: str) -> None:
        assert self.cache.get(key) is (key in self.cache.nodes)

    @rule(keys=st.lists(keys, max_size=80), cost=st.integers(0, 30), priority=st.integers(LOW, HIGH))
    def put(self, keys: list[str], cost: int, priority: int) -> None:
        for key in keys:
            self.cache.put(key, cost, priority)

    @rule(first=st.integers(100, 10_000), step=st.integers(1, 7), priority=st.integers(LOW, HIGH))
    def scan(self, first: int, step: int, priority: int) -> None:
        for number in range(first, first + 120 * step, step):
            self.cache.put(str(number), 3, priority)

    @rule(keys=st.lists(keys, min_size=1, max_size=20), times=st.integers(1, 8))
    def ask(self, keys: list[str], times: int) -> None:
        self.cache.ask(keys * times)

    @rule(key=keys)
    def purge(self, key: str) -> None:
        self.cache.purge(key)

    @rule(max_items=st.integers(1, 80), max_cost=st.integers(1, 800))
    def resize(self, max_items: int, max_cost: int) -> None:
        self.cache.resize(max_items, max_cost)

    @precondition(lambda self: hasattr(self, "cache"))
    @invariant()
    def sound(self) -> None:
        assert len(self.cache.nodes) <= self.cache.max_items
        assert self.cache.cost <= self.cache.max_cost
        check(self.cache)


class AdaptiveMachine(Machine):
    algorithm = Adaptive[Node]


class LruMachine(Machine):
    algorithm = Lru[Node]


TestAdaptiveMachine = AdaptiveMachine.TestCase
TestAdaptiveMachine.settings = settings(max_examples=80, stateful_step_count=25, deadline=None)
TestLruMachine = LruMachine.TestCase
TestLruMachine.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def zipf(keys: int, alpha: float, requests: int, seed: int = 1) -> list[str]:
    weights = list(accumulate((rank + 1) ** -alpha for rank in range(keys)))
    return [f"z{key}" for key in random.Random(seed).choices(range(keys), cum_weights=weights, k=requests)]


def loop(keys: int, requests: int) -> list[str]:
    return [f"l{number % keys}" for number in range(requests)]


def ratio(algorithm: Algorithm, entries: int, keys: Iterable[str]) -> float:
    cache = Cache(algorithm, entries)
    result = cache.ask(keys)
    check(cache)
    return result


@both
def test_nothing_to_give_up(algorithm: Algorithm) -> None:
    """An empty policy says so."""
    with pytest.raises(LookupError, match="expected an entry to give up, found none"):
        algorithm(10, 10).victim()


def test_lru_order() -> None:
    """LRU gives up what was not asked for the longest."""
    cache = Cache(Lru, 3)
    for key in "abc":
        cache.put(key)
    cache.get("a")
    cache.put("d")
    assert list(cache.nodes) == ["a", "c", "d"]


def test_a_scan_does_not_flush_what_is_popular() -> None:
    """After ten times as many one-hit wonders as there is room, most of the popular entries are still there."""
    popular = [f"p{number}" for number in range(60)]
    cache = Cache(Adaptive, 100)
    for _ in range(20):
        cache.ask(popular)
        cache.ask(f"warm-up {number}" for number in random.Random(1).sample(range(10**6), 20))
    cache.ask(f"scan {number}" for number in range(1000))
    assert sum(key in cache.nodes for key in popular) >= 55
    check(cache)


@pytest.mark.parametrize("entries", [100, 500, 900, 990])
def test_a_loop_larger_than_the_cache(entries: int) -> None:
    """LRU never hits; here nearly as much of the loop stays as there is room for."""
    keys = loop(1000, 50_000)
    assert ratio(Lru, entries, keys) == 0
    assert ratio(Adaptive, entries, keys) > entries / 1000 - 0.05


@pytest.mark.parametrize(("alpha", "entries"), [(0.7, 50), (0.7, 500), (0.7, 5000), (1.0, 50), (1.0, 500)])
def test_skewed_requests(alpha: float, entries: int) -> None:
    """Where some keys are always more popular than others, frequency counts: well above LRU."""
    keys = zipf(30_000, alpha, 60_000)
    assert ratio(Adaptive, entries, keys) > ratio(Lru, entries, keys) + 0.03


def test_bursts() -> None:
    """Reads in quick succession are taken for one: asking for everything thrice pushes nothing out."""
    cache = Cache(Adaptive, 200)
    popular = [f"p{number}" for number in range(100)]
    for _ in range(20):
        cache.ask(popular)
    cache.ask(f"burst {number}" for number in range(1000) for _ in range(3))
    assert sum(key in cache.nodes for key in popular) >= 95


@pytest.mark.parametrize("distance", [30, 300, 900])
def test_answers_asked_for_twice(distance: int) -> None:
    """Each key twice, `distance` requests apart: only recency counts, and no step by step search would find it."""
    keys = [f"t{number - back}" for number in range(40_000) for back in (0, distance // 2)]
    assert ratio(Adaptive, 1000, keys) > ratio(Lru, 1000, keys) - 0.02 > 0.45


def test_a_working_set_that_moves() -> None:
    """Popular keys that are others after each 5000 requests: as good as LRU, which forgets the old ones at once."""
    keys = [f"{phase} {key}" for phase in range(20) for key in zipf(3000, 1.0, 5000, seed=phase)]
    assert ratio(Adaptive, 1000, keys) > ratio(Lru, 1000, keys) - 0.015


def test_it_changes_its_mind() -> None:
    """The window follows the requests, from a loop to answers asked for twice and back."""
    cache = Cache(Adaptive, 800)
    windows = []
    for _ in range(2):
        cache.ask(loop(1200, 60_000))
        windows.append(cache.policy.statistics().window)
        cache.ask(f"t{number - back}" for number in range(30_000) for back in (0, 500))
        windows.append(cache.policy.statistics().window)
        check(cache)
    assert windows == [0.01, 0.8, 0.01, 0.8]


def test_large_entries_share_by_bytes() -> None:
    """When bytes are scarce, the window is a part of them: a few large newcomers do not push out what is popular."""
    cache = Cache(Adaptive, 10_000, max_cost=100_000)
    popular = [f"p{number}" for number in range(400)]
    for _ in range(30):
        for key in popular:
            if not cache.get(key):
                cache.put(key, cost=150)
        for number in random.Random(2).sample(range(10**6), 20):
            cache.put(f"large {number}", cost=5000)
    assert sum(key in cache.nodes for key in popular) > 360
    check(cache)


@both
def test_low_goes_before_medium_before_high(algorithm: Algorithm) -> None:
    """Entries of a priority stay whole while there are any of a lower one, whatever came last."""
    cache = Cache(algorithm, 90)
    for number in range(30):
        for priority in (HIGH, LOW, MEDIUM):
            cache.put(f"{priority} {number}", priority=priority)
    left = []
    for number in range(70):
        cache.put(f"new {number}", priority=HIGH)
        left.append(Counter(node.priority for node in cache.nodes.values()))
    assert left[29] == {MEDIUM: 30, HIGH: 60}
    assert left[59] == {HIGH: 90}
    check(cache)


@both
def test_a_low_newcomer_finds_no_room_among_high(algorithm: Algorithm) -> None:
    """It is its own victim, as long as the others are in use."""
    cache = Cache(algorithm, 50)
    high = [f"h{number}" for number in range(50)]
    cache.ask(high, HIGH)
    for number in range(2000):
        cache.put(f"low {number}", priority=LOW)
        cache.get(high[number % 50])
    assert set(cache.nodes) == set(high)


@both
@pytest.mark.parametrize("priority", [MEDIUM, HIGH])
def test_idle_entries_lose_their_priority(algorithm: Algorithm, priority: int) -> None:
    """What nobody asks for gives way to low entries in the end, medium before high; what is read stays."""
    cache = Cache(algorithm, 100)
    idle, used = [f"idle {number}" for number in range(50)], [f"used {number}" for number in range(50)]
    for _ in range(2):
        cache.ask(idle + used, priority)
    for number in range(400 * priority - 100):
        cache.put(f"low {number}", priority=LOW)
        cache.get(used[number % 50])
    assert all(key in cache.nodes for key in idle)
    for number in range(400):
        cache.put(f"lower {number}", priority=LOW)
        cache.get(used[number % 50])
    assert not any(key in cache.nodes for key in idle)
    assert all(key in cache.nodes for key in used)
    check(cache)


@both
def test_one_priority_costs_no_hits(algorithm: Algorithm) -> None:
    """Which one makes no difference where there is only one."""
    keys = zipf(3000, 0.9, 30_000)
    assert len({Cache(algorithm, 200).ask(keys, priority) for priority in range(LEVELS)}) == 1


@both
def test_a_new_priority(algorithm: Algorithm) -> None:
    """An entry that is replaced by one of another priority goes with its new peers."""
    cache = Cache(algorithm, 3)
    for key in "abc":
        cache.put(key, priority=HIGH)
    cache.put("b", priority=LOW)
    cache.put("d", priority=MEDIUM)
    assert set(cache.nodes) == {"a", "c", "d"}
    check(cache)


@both
def test_smaller_and_larger_again(algorithm: Algorithm) -> None:
    """New limits hold at once, and soon the cache is as good as one that always had them."""
    cache = Cache(algorithm, 1000)
    cache.ask(zipf(5000, 1.0, 40_000))
    cache.resize(100, 10**9)
    assert len(cache.nodes) == 100
    check(cache)
    requests = zipf(5000, 1.0, 10_000, seed=2)
    assert cache.ask(requests) > ratio(algorithm, 100, requests) - 0.02
    cache.resize(1000, 60)
    assert cache.cost == 60
    cache.resize(2000, 10**9)
    requests = zipf(5000, 1.0, 40_000, seed=3)
    assert cache.ask(requests) > ratio(algorithm, 2000, requests) - 0.02
    assert len(cache.nodes) == 2000
    check(cache)


def test_purged_entries_return_to_their_place() -> None:
    """What expired and is loaded again need not prove itself anew."""
    cache = Cache(Adaptive, 100)
    cache.ask(zipf(1000, 1.0, 10_000))
    main = [key for key, node in cache.nodes.items() if node.main and node.hits]
    for key in main[:10]:
        cache.purge(key)
        cache.put(key)
    assert sum(cache.nodes[key].main for key in main[:10]) >= 5
    check(cache)


def test_an_eviction_never_walks_a_queue() -> None:
    """Where everything was just read, the next victim is found after a few steps."""
    cache = Cache(Adaptive, 20_000)
    keys = [f"k{number}" for number in range(20_000)]
    cache.ask(keys)
    cache.put("one more")
    for _ in range(3):
        cache.ask(list(cache.nodes))
        cache.ask(f"tick {random.random()}" for _ in range(500))
    hits = sum(node.hits for node in cache.nodes.values())
    cache.put("another")
    assert hits - sum(node.hits for node in cache.nodes.values()) < 500


def test_ghosts_forget_the_oldest() -> None:
    """A full set of the table keeps what was read last; recalling takes it out."""
    ghosts = Ghosts(WAYS)
    for seen, mark in enumerate([11, 12, 13, 14, 15], start=1):
        ghosts.remember(mark, seen)
    assert [ghosts.recall(mark) for mark in (11, 12, 15, 15)] == [None, 2, 5, None]
    assert len(ghosts) == WAYS


def test_marks_spread() -> None:
    """Numbered keys fall evenly into the sample, whatever its size, and a lone surrogate is a key like others."""
    marks = [mark_of(f"tool:package:{number}") for number in range(64_000)]
    for part in (2, 16, 64):
        sampled = sum(mark < 2**32 // part for mark in marks)
        assert abs(sampled * part / 64_000 - 1) < 0.2
    assert len(set(marks)) > 63_990
    assert mark_of("\ud800") > 0
