"""The pipeline on a real disk tier whose janitor is never done: what was purged is not seen again."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

import pytest
import trio

from gateway.pipeline.clock import Clock
from gateway.pipeline.freshness import new_entry
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.metered import Metered
from gateway.pipeline.model import Entry, Loaded, Policy, Request
from gateway.pipeline.pipeline import Pipeline
from gateway.profile.tiers import MemoryTier as MemorySection
from gateway.tiers.disk import DiskTier
from gateway.tiers.disk_cleanup import CHORES
from gateway.tiers.memory import MemoryTier
from tests.tiers.rig import opened

KEYS = [f"k{number}" for number in range(12)]
READERS, READS, PURGES = 6, 80, 40


class Source:
    """Versions of what is loaded: a purge is about all before it, and nothing that is read later may be older."""

    def __init__(self, pipeline: Pipeline, policy: Policy, draw: random.Random) -> None:
        self.answered = 0
        self._pipeline = pipeline
        self._policy = policy
        self._draw = draw
        self._versions = dict.fromkeys(KEYS, 0)
        self._least = dict.fromkeys(KEYS, 0)

    async def read(self) -> None:
        for _ in range(READS):
            key = self._draw.choice(KEYS)
            least = self._least[key]
            answer = await self._pipeline.get(Request(key, self._policy, partial(self._load, key)))
            assert int(answer.entry.payload) >= least
            self.answered += 1
            await trio.sleep(self._draw.choice([0, 0.001]))

    async def purge(self) -> None:
        async with trio.open_nursery() as purging:
            for _ in range(PURGES):
                for key in self._draw.sample(KEYS, 4):
                    self._versions[key] += 1
                key = self._draw.choice(KEYS)
                selector = self._draw.choice(
                    [Selector("key", key), Selector("tag", _tag(key)), Selector("glob", "k1*"), Selector("all")]
                )
                purging.start_soon(self._purge, selector)
                await trio.sleep(self._draw.choice([0, 0.005, 0.01]))

    async def _purge(self, selector: Selector) -> None:
        selected = [key for key in KEYS if selector.matches(key, (_tag(key),))]
        self._least |= {key: self._versions[key] for key in selected}
        await self._pipeline.purge(selector, soft=self._draw.random() < 0.5)

    async def _load(self, key: str, _stale: Entry | None) -> Loaded:
        version = self._versions[key]
        await trio.sleep(self._draw.choice([0, 0.001, 0.005]))
        clock = self._pipeline.clock
        return Loaded(new_entry(str(version).encode(), self._policy, clock(), tags=(_tag(key),)))


def _tag(key: str) -> str:
    return f"t{int(key[1:]) % 3}"


async def clean_up(disk: DiskTier, draw: random.Random) -> None:
    """Do what the janitor does, without a pause."""
    while True:
        await disk.chore(draw.choice(list(CHORES.values())))
        await disk.put({"beside": new_entry(b"", Policy("s", ttl=1000), disk.clock())})
        await disk._upkeep._move()
        await disk.learn_keys()


@pytest.mark.parametrize("seed", range(3))
async def test_what_was_purged_is_not_seen_again(tmp_path: Path, seed: int) -> None:
    """Whatever is read, loaded, written and cleaned up meanwhile, and whether it was in memory or on the disk."""
    draw = random.Random(seed)
    async with opened(tmp_path / "cache.db") as disk, trio.open_nursery() as loads:
        clock = Clock()
        memory = MemoryTier(MemorySection(max_items=1 + 5 * seed), clock)
        pipeline = Pipeline(memory, [Metered(disk)], clock, loads=loads, writes=loads)
        policy = Policy("s", ttl=1000, stale_while_revalidate=50.0 * seed)
        source = Source(pipeline, policy, draw)
        loads.start_soon(clean_up, disk, draw)
        async with trio.open_nursery() as callers:
            callers.start_soon(source.purge)
            for _ in range(READERS):
                callers.start_soon(source.read)
        loads.cancel_scope.cancel()
    assert source.answered == READERS * READS
