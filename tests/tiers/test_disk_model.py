"""The disk tier against a plain model, on the real file, with crashes and damage."""

from __future__ import annotations

import random
import sqlite3
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.pipeline.clock import Clock
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Entry, Priority
from gateway.tiers.disk import DiskTier
from gateway.tiers.disk_inspect import list_entries, verify
from gateway.watch.janitor import Janitor
from tests.tiers.rig import Wall, crashed, opened

KEYS = ("a", "a:1", "a:2", "b:1", "b:2", "é")
TAGS = ("t", "u", "é")
keys = st.sampled_from(KEYS)
tags = st.lists(st.sampled_from(TAGS), max_size=3, unique=True).map(tuple)


@dataclass(frozen=True)
class Put:
    key: str
    tags: tuple[str, ...]
    ttl: float
    on_error: float
    size: int
    priority: Priority


@dataclass(frozen=True)
class Purge:
    selector: Selector
    soft: bool


@dataclass(frozen=True)
class Pass:
    seconds: float


Plain = Literal["look", "clean up", "reopen", "crash", "damage a row", "damage the tags", "verify"]
selectors = st.one_of(
    st.builds(Selector, st.just("key"), keys),
    st.builds(Selector, st.just("tag"), st.sampled_from(TAGS)),
    st.builds(Selector, st.just("glob"), st.sampled_from(("*", "a*", "*:1", "a:*", "*é*", "b", "none*"))),
    st.just(Selector("all")),
)
operations = st.one_of(
    st.builds(
        Put, keys, tags, st.sampled_from((5.0, 100.0, 1e5)), st.sampled_from((0.0, 50.0)),
        st.sampled_from((0, 10, 5000)), st.sampled_from(Priority),
    ),
    st.builds(Purge, selectors, st.booleans()),
    st.builds(Pass, st.sampled_from((1.0, 30.0, 1000.0))),
    st.sampled_from(("look", "clean up", "reopen", "crash", "damage a row", "damage the tags", "verify")),
)  # fmt: skip


@dataclass
class Model:
    """What each key holds, and what of it may have been lost, which is never a wrong answer."""

    folder: Path
    wall: Wall = field(default_factory=Wall)
    kept: dict[str, Entry] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    number: int = 0

    @property
    def path(self) -> Path:
        return self.folder / f"{self.number}.db"

    def put(self, operation: Put, now: float) -> Entry:
        payload = random.Random(now).randbytes(operation.size)
        return Entry(
            payload, now, now + operation.ttl, stale_if_error=operation.on_error, tags=operation.tags,
            priority=operation.priority,
        )  # fmt: skip


async def play(model: Model, program: list[object]) -> None:
    clock = Clock(model.wall)
    async with AsyncExitStack() as stack:
        disk = await stack.enter_async_context(opened(model.path, clock, ttl="30d"))
        for operation in program:
            match operation:
                case Put():
                    entry = model.put(operation, clock())
                    await disk.put({operation.key: entry})
                    model.kept[operation.key] = entry
                    model.lost.discard(operation.key)
                case Purge(selector, soft):
                    await disk.purge(selector, soft=soft)
                    purged(model, selector, clock() if soft else None)
                case Pass(seconds):
                    model.wall.now += seconds
                case "clean up":
                    await Janitor(disk, 1.0).clean_up()
                    assert disk.statistics().entries <= len(model.kept)
                case "verify":
                    await verify(disk, repair=True)
                    assert (await verify(disk)).sound
                case "reopen" | "crash" | "damage a row" | "damage the tags":
                    disk = await opened_again(model, stack, disk, operation, clock)
                case _:
                    await compare(model, disk, clock())
        await compare(model, disk, clock())


async def opened_again(model: Model, stack: AsyncExitStack, disk: DiskTier, how: str, clock: Clock) -> DiskTier:
    """The tier on the file as a restart, a kill or a dying disk leaves it."""
    if how == "crash":
        before, model.number = model.path, model.number + 1
        crashed(before, model.path)
    await stack.aclose()
    if how.startswith("damage"):
        connection = sqlite3.connect(model.path)
        if how == "damage a row":
            connection.execute("UPDATE entries SET row = zeroblob(length(row)) WHERE key = 'a:1'")
            model.lost.add("a:1")
        else:
            connection.execute("DELETE FROM tags WHERE key LIKE 'a%'")
        connection.commit()
        connection.close()
        model.lost |= {key for key in KEYS if key.startswith("a")}  # a repair deletes what its tags don't lead to
    return await stack.enter_async_context(opened(model.path, clock, ttl="30d"))


def purged(model: Model, selector: Selector, at: float | None) -> None:
    for key, entry in list(model.kept.items()):
        if not selector.matches(key, entry.tags):
            continue
        if at is None:
            del model.kept[key]
        else:
            model.kept[key] = entry.made_stale(at)


async def compare(model: Model, disk: DiskTier, now: float) -> None:
    listed = {listing.key: listing.entry for listing in await list_entries(disk)}
    for key in KEYS:
        found, expected = await disk.get(key), model.kept.get(key)
        assert listed.get(key) == found
        if found is None:
            assert expected is None or key in model.lost or expected.usable_until <= now, f"{key} was lost"
            continue
        assert expected is not None, f"{key} was purged"
        # The tier's own time of a soft purge is a little before the model's.
        assert expected.fresh_until - 1 <= found.fresh_until <= expected.fresh_until
        assert found == expected.but(fresh_until=found.fresh_until)


@settings(deadline=None, max_examples=120)
@given(st.lists(operations, max_size=25))
async def test_the_tier_is_what_a_plain_model_says(program: list[object]) -> None:
    """Whatever is put, purged, expired, crashed and damaged, in whatever order: never a wrong or a purged value."""
    with tempfile.TemporaryDirectory() as folder:
        await play(Model(Path(folder)), program)
