from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import trio
import trio.testing

from gateway.errors import TierError, UpstreamInvalid, UpstreamNotFound, UpstreamUnavailable
from gateway.pipeline.clock import Clock
from gateway.pipeline.freshness import new_entry
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.metered import Metered
from gateway.pipeline.model import Entry, Loaded, Negative, Policy, Request, Status
from gateway.pipeline.pipeline import Pipeline
from gateway.profile.tiers import MemoryTier as MemorySection
from gateway.tiers.memory import MemoryTier
from tests.fakes.tier import DictTier

SELECTORS = [Selector("key", "key"), Selector("tag", "t"), Selector("glob", "k*"), Selector("all")]
POLICY = Policy("s", ttl=100, stale_while_revalidate=50, stale_if_error=500)


@dataclass
class Origin:
    """What the pipeline loads from: counts loads, takes a second, and fails on demand."""

    clock: Clock
    value: bytes = b"v1"
    error: Exception | None = None
    delay: float = 1.0
    keep: bool = True
    loads: int = 0
    stale: list[Entry | None] = field(default_factory=list)

    async def load(self, stale: Entry | None) -> Loaded:
        self.loads += 1
        self.stale.append(stale)
        value, now = self.value, self.clock()
        await trio.sleep(self.delay)
        if self.error is not None:
            raise self.error
        companions = {"companion": new_entry(b"other", POLICY, now)}
        return Loaded(new_entry(value, POLICY, now, tags=("t",)), keep=self.keep, companions=companions)

    def request(self, key: str = "key", policy: Policy = POLICY) -> Request:
        return Request(key, policy, self.load)


@dataclass
class Rig:
    """A pipeline on its own. pytest-trio takes the clock from what a test itself asks for, so each asks for it."""

    clock: Clock
    memory: MemoryTier
    disk: DictTier
    origin: Origin
    pipeline: Pipeline


@pytest.fixture
async def rig(autojump_clock: trio.testing.MockClock) -> AsyncIterator[Rig]:
    clock = Clock(wall=lambda: 0.0)
    memory, disk = MemoryTier(MemorySection(), clock), DictTier()
    async with trio.open_nursery() as nursery:
        pipeline = Pipeline(memory, [Metered(disk)], clock, loads=nursery, writes=nursery)
        yield Rig(clock, memory, disk, Origin(clock), pipeline)
        nursery.cancel_scope.cancel()


async def test_a_miss_is_loaded_once_and_then_hit_in_memory(autojump_clock: trio.testing.MockClock, rig: Rig) -> None:
    """The first answer is loaded, the second comes from memory, and both say so."""
    first = await rig.pipeline.get(rig.origin.request())
    second = await rig.pipeline.get(rig.origin.request())
    assert (first.status, first.tier, second.status, second.tier) == (Status.MISS, "upstream", Status.HIT, "memory")
    assert rig.origin.loads == 1
    assert second.entry.payload == b"v1"


async def test_a_load_reaches_the_lower_tier_with_its_companions(
    autojump_clock: trio.testing.MockClock, rig: Rig
) -> None:
    """What a load brings is kept in every tier, also what came along with it."""
    await rig.pipeline.get(rig.origin.request())
    await trio.testing.wait_all_tasks_blocked()
    assert set(rig.disk.entries) == {"key", "companion"}
    assert rig.memory.get("companion") is not None


async def test_an_entry_of_the_lower_tier_is_promoted(autojump_clock: trio.testing.MockClock, rig: Rig) -> None:
    """What only the disk has is answered from there once, then from memory."""
    rig.disk.entries["key"] = new_entry(b"old", POLICY, rig.clock())
    answers = [await rig.pipeline.get(rig.origin.request()) for _ in range(2)]
    assert [answer.tier for answer in answers] == ["disk", "memory"]
    assert rig.origin.loads == 0


async def test_a_thousand_first_callers_make_one_read_and_one_load(
    autojump_clock: trio.testing.MockClock, rig: Rig
) -> None:
    """Concurrent misses of one key are one look-up and one load, and a cancelled first caller fails nobody."""
    answers = []

    async def caller() -> None:
        answers.append(await rig.pipeline.get(rig.origin.request()))

    async with trio.open_nursery() as callers:
        with trio.move_on_after(0.5) as first:
            for _ in range(999):
                callers.start_soon(caller)
            await rig.pipeline.get(rig.origin.request())
        assert first.cancelled_caught
    assert len(answers) == 999
    assert (rig.origin.loads, rig.disk.reads) == (1, 1)


async def test_a_stale_entry_is_served_while_one_refresh_runs(autojump_clock: trio.testing.MockClock, rig: Rig) -> None:
    """After its ttl an answer is served at once, marked stale, while one load in the background makes it fresh."""
    await rig.pipeline.get(rig.origin.request())
    rig.origin.value = b"v2"
    await trio.sleep(120)
    for _ in range(3):
        answer = await rig.pipeline.get(rig.origin.request())
        assert (answer.status, answer.entry.payload) == (Status.STALE, b"v1")
    await trio.sleep(2)
    answer = await rig.pipeline.get(rig.origin.request())
    assert (answer.status, answer.entry.payload) == (Status.HIT, b"v2")
    assert rig.origin.loads == 2
    assert rig.origin.stale[1] is not None


async def test_who_asks_for_revalidation_does_not_get_a_stale_entry(
    autojump_clock: trio.testing.MockClock, rig: Rig
) -> None:
    """A refresh waits for its sources to be refreshed, too."""
    await rig.pipeline.get(rig.origin.request())
    rig.origin.value = b"v2"
    await trio.sleep(120)
    answer = await rig.pipeline.get(rig.origin.request(), revalidate=True)
    assert (answer.status, answer.entry.payload) == (Status.MISS, b"v2")


async def test_a_stale_entry_is_served_when_the_upstream_fails(
    autojump_clock: trio.testing.MockClock, rig: Rig
) -> None:
    """Within stale_if_error a failing upstream is hidden, and the answer says that it is stale."""
    await rig.pipeline.get(rig.origin.request())
    rig.origin.error = UpstreamUnavailable("u", "down")
    await trio.sleep(400)
    answer = await rig.pipeline.get(rig.origin.request())
    assert (answer.status, answer.entry.payload) == (Status.STALE, b"v1")


async def test_nothing_is_served_beyond_its_last_window(autojump_clock: trio.testing.MockClock, rig: Rig) -> None:
    """After stale_if_error the failure reaches the caller."""
    await rig.pipeline.get(rig.origin.request())
    rig.origin.error = UpstreamUnavailable("u", "down")
    await trio.sleep(601)
    with pytest.raises(UpstreamUnavailable, match="u: down"):
        await rig.pipeline.get(rig.origin.request())


async def test_a_definite_answer_is_not_hidden_by_a_stale_entry(
    autojump_clock: trio.testing.MockClock, rig: Rig
) -> None:
    """Not found is an answer, not a failure: what is gone is gone."""
    await rig.pipeline.get(rig.origin.request())
    rig.origin.error = UpstreamNotFound("u", "gone")
    await trio.sleep(400)
    with pytest.raises(UpstreamNotFound, match="u: gone"):
        await rig.pipeline.get(rig.origin.request())


async def test_an_error_is_not_kept(autojump_clock: trio.testing.MockClock, rig: Rig) -> None:
    """After a failed load the next caller asks again."""
    rig.origin.error = UpstreamUnavailable("u", "down")
    with pytest.raises(UpstreamUnavailable):
        await rig.pipeline.get(rig.origin.request())
    rig.origin.error = None
    answer = await rig.pipeline.get(rig.origin.request())
    assert answer.entry.payload == b"v1"


async def test_what_is_not_to_be_kept_is_not_kept(autojump_clock: trio.testing.MockClock, rig: Rig) -> None:
    """A load can say that its answer is for those who wait, and for nobody else."""
    rig.origin.keep = False
    await rig.pipeline.get(rig.origin.request())
    await rig.pipeline.get(rig.origin.request())
    assert rig.origin.loads == 2


@pytest.mark.parametrize("selector", SELECTORS)
async def test_a_purge_empties_every_tier(autojump_clock: trio.testing.MockClock, rig: Rig, selector: Selector) -> None:
    """Purged by key, tag or all: neither memory nor disk answers any more."""
    await rig.pipeline.get(rig.origin.request())
    await trio.testing.wait_all_tasks_blocked()
    assert await rig.pipeline.purge(selector) >= 2
    assert (await rig.pipeline.get(rig.origin.request())).status is Status.MISS


async def test_a_load_from_before_a_purge_does_not_write_back(autojump_clock: trio.testing.MockClock, rig: Rig) -> None:
    """Its callers get what they waited for; whoever asks after the purge gets a load of their own."""
    async with trio.open_nursery() as callers:
        callers.start_soon(rig.pipeline.get, rig.origin.request())
        await trio.sleep(0.5)
        await rig.pipeline.purge(Selector("tag", "t"))
        rig.origin.value = b"v2"
        assert (await rig.pipeline.get(rig.origin.request())).entry.payload == b"v2"
    await trio.testing.wait_all_tasks_blocked()
    assert rig.disk.entries["key"].payload == b"v2"
    assert (await rig.pipeline.get(rig.origin.request())).entry.payload == b"v2"


async def test_a_slow_read_from_before_a_purge_is_not_promoted(
    autojump_clock: trio.testing.MockClock, rig: Rig
) -> None:
    """An entry that was on its way up from the disk when it was purged does not get into memory."""
    rig.disk.entries["key"] = new_entry(b"purged", POLICY, rig.clock(), tags=("t",))
    rig.disk.delay = 1.0
    async with trio.open_nursery() as callers:
        callers.start_soon(rig.pipeline.get, rig.origin.request())
        await trio.sleep(0.5)
        await rig.pipeline.purge(Selector("tag", "t"))
    assert rig.memory.get("key") is None


async def test_what_was_found_before_a_purge_is_not_revalidated_after_it(
    autojump_clock: trio.testing.MockClock, rig: Rig
) -> None:
    """An upstream that answers 304 (not modified) would bring back what was purged during the look-up."""
    rig.disk.entries["key"] = new_entry(b"purged", POLICY, rig.clock() - 200, tags=("t",))
    rig.disk.delay = 2.0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rig.pipeline.get, rig.origin.request())
        await trio.sleep(1)
        await rig.pipeline.purge(Selector("tag", "t"))
    assert rig.origin.stale == [None]


async def test_a_slow_write_from_before_a_purge_does_not_bring_an_entry_back(
    autojump_clock: trio.testing.MockClock, rig: Rig
) -> None:
    """A purge that comes between a load and the write of what it brought wins."""
    rig.origin.delay = 0.0
    await rig.pipeline.get(rig.origin.request())
    await rig.pipeline.purge(Selector("all"))
    await trio.testing.wait_all_tasks_blocked()
    assert "key" not in rig.disk.entries


async def test_a_broken_tier_is_a_miss(autojump_clock: trio.testing.MockClock, rig: Rig) -> None:
    """A tier that fails on read and write is counted, and requests go on without it."""
    rig.disk.broken = True
    answer = await rig.pipeline.get(rig.origin.request())
    await trio.testing.wait_all_tasks_blocked()
    assert answer.status is Status.MISS
    assert rig.pipeline.lower[0].meter.errors == 2


async def test_without_memory_the_disk_answers_the_next_caller(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    """With memory off a load is on disk before its flight ends, so that nobody loads it again."""
    clock = Clock(wall=lambda: 0.0)
    disk, origin = DictTier(), Origin(clock)
    pipeline = Pipeline(None, [Metered(disk)], clock, loads=nursery, writes=nursery)
    answers = [await pipeline.get(origin.request()) for _ in range(2)]
    assert [answer.tier for answer in answers] == ["upstream", "disk"]
    assert origin.loads == 1


async def test_a_stricter_strategy_does_not_share_a_laxer_look_up(
    autojump_clock: trio.testing.MockClock, rig: Rig
) -> None:
    """Two strategies of one document are two look-ups: each is judged by its own ttl."""
    rig.disk.entries["key"] = new_entry(b"old", POLICY, rig.clock())
    await trio.sleep(50)
    lax = await rig.pipeline.get(rig.origin.request())
    strict = await rig.pipeline.get(rig.origin.request(policy=Policy("strict", ttl=10)))
    assert (lax.entry.payload, strict.entry.payload) == (b"old", b"v1")


@pytest.mark.parametrize("cancel_at", [0.1, 0.6, 1.1, 1.6, 2.1])
async def test_a_caller_can_be_cancelled_anywhere(
    autojump_clock: trio.testing.MockClock, rig: Rig, cancel_at: float
) -> None:
    """Wherever a caller is cancelled (read, load, write), the next one gets the right answer from a single load."""
    rig.disk.delay = 1.0
    with trio.move_on_after(cancel_at):
        await rig.pipeline.get(rig.origin.request())
    answer = await rig.pipeline.get(rig.origin.request())
    assert answer.entry.payload == b"v1"
    assert rig.origin.loads == 1


async def test_a_softly_purged_entry_is_refreshed_first(autojump_clock: trio.testing.MockClock, rig: Rig) -> None:
    """The next request waits for a load, in every tier's stead; the old answer stands in only if that fails."""
    await rig.pipeline.get(rig.origin.request())
    await trio.testing.wait_all_tasks_blocked()
    assert await rig.pipeline.purge(Selector("tag", "t"), soft=True) == 2
    rig.origin.error = UpstreamUnavailable("u", "down")
    assert (await rig.pipeline.get(rig.origin.request())).status is Status.STALE
    rig.origin.error, rig.origin.value = None, b"v2"
    answer = await rig.pipeline.get(rig.origin.request())
    assert (answer.status, answer.entry.payload) == (Status.MISS, b"v2")


@pytest.mark.parametrize("error", [UpstreamUnavailable("u", "down"), UpstreamInvalid("u", "garbage")])
async def test_a_failure_is_remembered_for_as_long_as_the_strategy_says(
    autojump_clock: trio.testing.MockClock, rig: Rig, error: Exception
) -> None:
    """Meanwhile callers get the same failure without a load; then one tries again."""
    policy = Policy("s", ttl=100, negative=Negative(upstream_error=10, invalid=10))
    rig.origin.error = error
    for _ in range(3):
        with pytest.raises(type(error)):
            await rig.pipeline.get(rig.origin.request(policy=policy))
    assert rig.origin.loads == 1
    rig.origin.error = None
    await trio.sleep(10)
    assert (await rig.pipeline.get(rig.origin.request(policy=policy))).entry.payload == b"v1"


async def test_a_remembered_failure_does_not_hide_a_stale_entry(
    autojump_clock: trio.testing.MockClock, rig: Rig
) -> None:
    """While a failure is remembered, the stale entry is served, and the upstream is left alone."""
    policy = Policy("s", ttl=100, stale_if_error=500, negative=Negative(upstream_error=30))
    await rig.pipeline.get(rig.origin.request(policy=policy))
    rig.origin.error = UpstreamUnavailable("u", "down")
    await trio.sleep(200)
    for _ in range(3):
        assert (await rig.pipeline.get(rig.origin.request(policy=policy))).status is Status.STALE
    assert rig.origin.loads == 2


async def test_a_purge_forgets_failures(autojump_clock: trio.testing.MockClock, rig: Rig) -> None:
    """An operator who purges wants the upstream to be asked again."""
    policy = Policy("s", ttl=100, negative=Negative(upstream_error=1000))
    rig.origin.error = UpstreamUnavailable("u", "down")
    with pytest.raises(UpstreamUnavailable):
        await rig.pipeline.get(rig.origin.request(policy=policy))
    rig.origin.error = None
    await rig.pipeline.purge(Selector("all"))
    assert (await rig.pipeline.get(rig.origin.request(policy=policy))).status is Status.MISS


@pytest.mark.parametrize("selector", [*SELECTORS, Selector("key", "other")])
async def test_a_load_from_before_a_purge_leaves_no_failure_behind(
    autojump_clock: trio.testing.MockClock, rig: Rig, selector: Selector
) -> None:
    """It fails after the purge: the next caller asks the upstream all the same, unless another key was purged."""
    policy = Policy("s", ttl=100, negative=Negative(upstream_error=1000))
    rig.origin.error = UpstreamUnavailable("u", "down")

    async def ask() -> None:
        with pytest.raises(UpstreamUnavailable):
            await rig.pipeline.get(rig.origin.request(policy=policy))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await trio.sleep(0.5)
        await rig.pipeline.purge(selector)
    await ask()
    assert rig.origin.loads == (1 if selector.value == "other" else 2)


@pytest.mark.parametrize(("tiers", "then"), [({"memory"}, "memory"), ({"disk"}, "disk"), (set(), "upstream")])
async def test_a_strategy_chooses_its_tiers(
    autojump_clock: trio.testing.MockClock, rig: Rig, tiers: set[str], then: str
) -> None:
    """An entry is kept and looked for only where its strategy says."""
    policy = Policy("s", ttl=100, tiers=frozenset(tiers))
    await rig.pipeline.get(rig.origin.request(policy=policy))
    await trio.testing.wait_all_tasks_blocked()
    assert (await rig.pipeline.get(rig.origin.request(policy=policy))).tier == then
    assert (set(rig.disk.entries) != set()) is ("disk" in tiers)


async def test_a_purge_without_a_tier_that_may_come_back_is_not_acknowledged(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    """What is on a disk that could not be opened would come back with it, so the purge says that it is not done."""
    clock = Clock(wall=lambda: 0.0)
    memory, origin = MemoryTier(MemorySection(), clock), Origin(clock)
    pipeline = Pipeline(memory, [], clock, loads=nursery, writes=nursery, absent=["disk"])
    await pipeline.get(origin.request())
    with pytest.raises(TierError, match="can come back from: disk could not be opened"):
        await pipeline.purge(Selector("all"))
    assert len(memory) == 0


async def test_memory_counts_each_request_once(autojump_clock: trio.testing.MockClock, rig: Rig) -> None:
    """However often a look-up looks, a request is one hit or one miss."""
    for _ in range(3):
        await rig.pipeline.get(rig.origin.request())
    assert (rig.memory.meter.hits, rig.memory.meter.misses) == (2, 1)


async def test_a_caller_does_not_wait_for_a_slow_failure(autojump_clock: trio.testing.MockClock, rig: Rig) -> None:
    """Where a stale entry can stand in, a caller waits for a refresh as long as the strategy says, and it goes on."""
    await rig.pipeline.get(rig.origin.request())
    await trio.sleep(400)
    rig.origin.delay, rig.origin.value = 30.0, b"v2"
    began = trio.current_time()
    assert (await rig.pipeline.get(rig.origin.request())).status is Status.STALE
    assert trio.current_time() - began == POLICY.patience
    await trio.sleep(30)
    answer = await rig.pipeline.get(rig.origin.request())
    assert (answer.status, answer.entry.payload, rig.origin.loads) == (Status.HIT, b"v2", 2)


async def test_who_asks_for_nothing_old_waits(autojump_clock: trio.testing.MockClock, rig: Rig) -> None:
    """A reader who names an age gets something old only when the upstream has failed for good."""
    await rig.pipeline.get(rig.origin.request())
    await trio.sleep(50)
    rig.origin.delay, rig.origin.value = 30.0, b"v2"
    answer = await rig.pipeline.get(rig.origin.request(policy=POLICY.at_most(0)))
    assert (answer.status, answer.entry.payload) == (Status.MISS, b"v2")
    rig.origin.error = UpstreamUnavailable("u", "down")
    assert (await rig.pipeline.get(rig.origin.request(policy=POLICY.at_most(0)))).status is Status.STALE
