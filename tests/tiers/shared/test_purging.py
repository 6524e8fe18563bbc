from __future__ import annotations

from pathlib import Path

import msgpack
import pytest
import trio
import trio.testing

from gateway.errors import PurgePending
from gateway.pipeline.invalidation import Selector
from gateway.tiers.shared.remembered import Known, KnownFile, Purge, decode, encode
from tests.fakes.engine import Engine
from tests.tiers.shared.rig import Instance, instance, section


class Versions:
    """A source whose documents say how often they have changed."""

    def __init__(self) -> None:
        self.now = 1

    async def __call__(self, key: str) -> bytes:
        await trio.lowlevel.checkpoint()
        return b"%d" % self.now


async def until_heard(other: Instance, number: int = 1) -> None:
    """Until an instance has heard of so many purges of others."""
    with trio.fail_after(20):
        while other.telemetry.shared.total("heard") < number:
            await trio.lowlevel.checkpoint()


async def test_a_purge_of_another_instance_reaches_memory(engine: Engine) -> None:
    """What the others keep in memory is purged as well, and only that."""
    source = Versions()
    async with instance(section(engine), source) as one, instance(section(engine), source) as other:
        assert [await each.ask(key) for each in (one, other) for key in "ab"] == [b"1"] * 4
        source.now = 2
        await one.pipeline.purge(Selector("key", "a"))
        with trio.fail_after(20):
            while other.pipeline.memory.get("a") is not None:  # type: ignore[union-attr]
                await trio.lowlevel.checkpoint()
        assert [await each.ask(key) for each in (one, other) for key in "ab"] == [b"2", b"1"] * 2


async def test_a_load_under_way_elsewhere_brings_nothing_back(engine: Engine) -> None:
    """A load that began before a purge on another instance is neither kept there nor shared."""
    arrived, go_on = trio.Event(), trio.Event()
    slow = True

    async def source(key: str) -> bytes:
        if not slow:
            return b"new"
        arrived.set()
        await go_on.wait()
        return b"old"

    async with instance(section(engine), source) as one, instance(section(engine), source) as other:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other.ask, "a")
            await arrived.wait()
            await one.pipeline.purge(Selector("tag", "tag:a"))
            go_on.set()
        slow = False
        await until_heard(other)
        with trio.fail_after(20):
            while await other.ask("a") != b"new":
                await trio.lowlevel.checkpoint()
        assert await one.ask("a") == b"new"


async def test_an_instance_that_was_away_catches_up_before_it_starts(engine: Engine, tmp_path: Path) -> None:
    """What was purged while an instance did not run is purged there before it has started, and nothing else is."""
    known = tmp_path / "known"
    async with instance(section(engine)) as one:
        async with instance(section(engine), known=known):
            pass
        for selector, soft in ((Selector("tag", "é\udc80"), False), (Selector("glob", "*"), True)):
            await one.pipeline.purge(selector, soft=soft)
        async with instance(section(engine), known=known) as back:
            counted = back.telemetry.shared
            assert (counted.total("caught_up"), counted.total("forgot_all")) == (2, 0)
        async with instance(section(engine), known=known) as back:
            counted = back.telemetry.shared
            assert (counted.total("caught_up"), counted.total("forgot_all")) == (0, 0)


@pytest.mark.parametrize("how", ["trimmed", "stream", "epoch", "file", "future"])
async def test_who_can_not_know_what_was_purged_forgets_everything(how: str, engine: Engine, tmp_path: Path) -> None:
    """Where the history does not reach back, is not there, or is another one, or the file is damaged: all is purged."""
    known = tmp_path / "known"
    async with instance(section(engine)) as one:
        async with instance(section(engine), known=known):
            pass
        await one.pipeline.purge(Selector("tag", "t"))
        match how:
            case "trimmed":
                engine.do("HSET", "gateway:state", "since", str(one.tier.purging.heard + 10**9))
            case "stream":
                engine.do("DEL", "gateway:purges")
            case "epoch":
                engine.do("HSET", "gateway:state", "epoch", "another")
            case "file":
                known.write_bytes(known.read_bytes()[:-1] + b"?")
            case "future":
                file = KnownFile(known)
                before = await file.load()
                await file.save(Known(before.epoch, before.run, before.applied + 10**12))
        async with instance(section(engine), known=known) as back:
            assert back.telemetry.shared.total("forgot_all") == 1


async def test_a_purge_that_was_not_heard_is_found_by_the_next_look(engine: Engine) -> None:
    """Publishing may lose a message; the stream has it, and is looked into whenever it is ahead."""
    async with instance(section(engine)) as one:
        heard: list[Selector] = []

        async def apply(selector: Selector, _soft: bool) -> None:
            heard.append(selector)

        one.tier.purging.apply = apply
        stamp = one.tier.purging.heard + 60_000_000
        engine.do("XADD", "gateway:purges", f"{stamp}-0", "i", "lost", "k", "tag", "v", "t", "s", "0")
        engine.do("HSET", "gateway:state", "last", str(stamp), "purged", str(stamp))
        with trio.fail_after(20):
            while not heard:
                await trio.lowlevel.checkpoint()
        assert heard == [Selector("tag", "t")]


@pytest.mark.parametrize(
    "message",
    [b"", b"garbage", msgpack.packb(("1", "i", "what", "v", "0")), msgpack.packb(("x", "i", "tag", "v", "0"))],
)
async def test_a_message_that_is_no_purge(message: bytes, engine: Engine) -> None:
    """What somebody else publishes there is counted, and the next purge is heard all the same."""
    async with instance(section(engine)) as one, instance(section(engine)) as other:
        engine.do("PUBLISH", "gateway:news", message)
        await one.pipeline.purge(Selector("tag", "t"))
        await until_heard(other)
        assert other.telemetry.shared.total("unreadable") == 1


async def test_an_engine_that_lost_its_last_purges_is_told_them_again(engine: Engine) -> None:
    """After a restart each instance tells what it knows of, so that those who were away hear of it; nobody twice."""
    async with instance(section(engine)) as one, instance(section(engine)) as other:
        await other.ask("k")
        await one.pipeline.purge(Selector("tag", "tag:k"))
        with trio.fail_after(20):
            while other.pipeline.memory.get("k") is not None:  # type: ignore[union-attr]
                await trio.lowlevel.checkpoint()
        applied: list[Selector] = []

        async def apply(selector: Selector, _soft: bool) -> None:
            applied.append(selector)

        for each in (one, other):
            each.tier.purging.apply = apply
        length = engine.do("XLEN", "gateway:purges")
        engine.do("DEL", "gateway:purges")
        engine.do("ZREMRANGEBYRANK", "gateway:marks", "1", "-1")
        engine.do("HSET", "gateway:state", "purged", "0")
        engine.kill()
        await trio.to_thread.run_sync(engine.start)
        for each in (one, other):
            with trio.fail_after(20):
                while engine.do("XLEN", "gateway:purges") != length or not each.tier.link.up:
                    await trio.lowlevel.checkpoint()
        assert applied == []


@pytest.mark.parametrize(
    ("refuse", "take"),
    [
        (["CONFIG SET maxmemory-policy noeviction", "CONFIG SET maxmemory 1"], "CONFIG SET maxmemory 0"),
        (["REPLICAOF 127.0.0.1 1"], "REPLICAOF NO ONE"),
    ],
    ids=["full", "read-only"],
)
async def test_an_engine_that_takes_no_purge_is_not_asked(engine: Engine, refuse: list[str], take: str) -> None:
    """It has what was purged, so nothing comes from there until it knows of it, nor what was asked for meanwhile."""
    versions = Versions()
    async with instance(section(engine), versions) as one:
        assert await one.ask("k") == b"1"
        await trio.testing.wait_all_tasks_blocked(0.05)
        for command in refuse:
            engine.do(*command.split())
        versions.now = 2
        async with trio.open_nursery() as asking:
            asking.start_soon(one.ask, "k")  # sent behind the purge, and answered
            with pytest.raises(PurgePending, match="purged here; the other instances are told when the engine is back"):
                await one.pipeline.purge(Selector("key", "k"))
        assert await one.ask("k") == b"2"
        engine.do(*take.split())
        await one.wait_up()
        assert one.tier.purging.untold == 0
        assert await one.ask("k") == b"2"


async def test_too_many_purges_without_an_engine_become_one(engine: Engine) -> None:
    """An outage that lasts takes no memory without end: what is to be told becomes a purge of all."""
    engine.kill()
    async with instance(section(engine)) as one:
        for number in range(1002):
            with pytest.raises(PurgePending):
                await one.tier.purge(Selector("tag", f"{number}"))
        assert one.tier.statistics().untold == 2


@pytest.mark.parametrize(
    "known",
    [
        Known(),
        Known("epoch", "run", 2**52, {"i": Purge("i", Selector("tag", "é\udc80\n"), soft=True)}),
    ],
)
def test_what_is_known_survives(known: Known) -> None:
    """The file says what was put into it; any other bytes say nothing."""
    data = encode(known)
    assert decode(data) == known
    for place in range(len(data)):
        assert decode(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]) is None
        assert decode(data[:place]) is None
