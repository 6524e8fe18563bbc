from __future__ import annotations

import hashlib

import pytest
import trio

from gateway.errors import PurgePending, TierError
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Entry, Outcome, Priority
from gateway.tiers.codec import Codec
from tests.fakes.engine import Engine
from tests.tiers.shared.rig import Instance, instance, section


def entry(instance: Instance, payload: bytes = b"payload", *, tags: tuple[str, ...] = ("t",)) -> Entry:
    now = instance.pipeline.clock()
    return Entry(
        payload, now, now + 60, 10.0, 20.0, tags, Priority.HIGH, False, "text/plain", "etag", "date", Outcome.OK
    )


def name(key: str) -> str:
    return f"gateway:entry:{hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}"


async def test_an_entry_is_the_same_everywhere(engine: Engine) -> None:
    """What one instance puts the other reads as it was, with its freshness and tags, small and compressed."""
    async with instance(section(engine)) as one, instance(section(engine)) as other:
        entries = {
            "k": entry(one),
            "é/€ '\"\n": entry(one, b"x" * 300_000, tags=("é", "a:{}")),
            "empty": entry(one, b""),
        }
        await one.tier.put(entries)
        assert {key: await other.tier.get(key) for key in entries} == entries


async def test_what_is_too_large_stays_here(engine: Engine) -> None:
    """A payload over `max_value` is not shared, and counted."""
    async with instance(section(engine, max_value="2KB")) as one:
        await one.tier.put({"k": entry(one, bytes(2001)), "l": entry(one, bytes(2000))})
        assert await one.tier.get("k") is None
        assert await one.tier.get("l") is not None
        assert one.tier.statistics().too_large == 1


async def test_what_is_made_of_this_machines_files_stays_here(engine: Engine) -> None:
    """An entry with a tag of an upstream on this machine is not shared: the others may have other files."""
    async with instance(section(engine), local=("upstream:files",)) as one:
        await one.tier.put({"k": entry(one, tags=("upstream:api", "upstream:files"))})
        assert await one.tier.get("k") is None


async def test_the_tier_limits_how_long_an_entry_is_fresh(engine: Engine) -> None:
    """`ttl` counts from when the entry was put, and the engine forgets it when nobody may use it any more."""
    async with instance(section(engine, ttl="5s")) as one:
        now = one.pipeline.clock()
        await one.tier.put({"k": entry(one), "old": Entry(b"", now - 9, now - 5)})
        found = await one.tier.get("k")
        assert found is not None
        assert found.fresh_until <= one.pipeline.clock() + 5
        assert 20_000 < int(engine.do("PTTL", name("k"))[1:]) <= 25_000
        assert engine.do("EXISTS", name("old")) == b":0\r\n"


@pytest.mark.parametrize(
    "selector",
    [
        Selector("key", "key:a"),
        Selector("tag", "t:1"),
        Selector("glob", "k*a"),
        Selector("glob", "*:*"),
        Selector("glob", "key:a"),
        Selector("all"),
    ],
    ids=str,
)
@pytest.mark.parametrize("soft", [False, True])
async def test_a_purge_takes_what_it_selects(selector: Selector, soft: bool, engine: Engine) -> None:
    """A hard purge leaves nothing of the selected entries, a soft one makes them stale; others are not touched."""
    async with instance(section(engine)) as one, instance(section(engine)) as other:
        await one.tier.put({"key:a": entry(one, tags=("t:1", "t:2")), "b:b": entry(one, tags=("t:2",))})
        assert await other.tier.purge(selector, soft=soft) == 0
        found = await one.tier.get("key:a")
        assert (found is not None) is soft
        if found is not None:
            assert (found.stale_while_revalidate, found.stale_if_error) == (0.0, 20.0)
            assert found.fresh_until <= one.pipeline.clock()
        kept = await one.tier.get("b:b")
        spared = not selector.matches("b:b", ("t:2",))
        assert (kept is not None and kept.fresh_until > one.pipeline.clock()) is spared


async def test_a_write_from_before_a_purge_is_refused(engine: Engine) -> None:
    """A load that began before a purge brings nothing back, on whatever instance either was, also if it hears late."""
    async with instance(section(engine)) as one, instance(section(engine)) as other:
        began = one.tier.purging.applied
        await other.tier.purge(Selector("tag", "t"))
        assert not await one.tier.keep({"k": entry(one)}, began)
        assert await one.tier.keep({"l": entry(one, tags=("u",))}, began)
        assert await other.tier.get("k") is None
        assert await other.tier.get("l") is not None
        assert one.tier.statistics().overtaken == 1


@pytest.mark.parametrize(
    "fields",
    [
        ("r", b"garbage"),
        ("r", b""),
        ("t", b"\x90"),
        ("t", b"garbage"),
        ("s", b"garbage"),
        ("s", b"9007199254740991"),
    ],
    ids=str,
)
async def test_a_damaged_entry_is_a_miss(fields: tuple[str, bytes], engine: Engine) -> None:
    """Bytes that are no entry, tags that are not the entry's and a stamp that is not its own: a miss, and counted."""
    async with instance(section(engine)) as one:
        await one.tier.put({"k": entry(one)})
        engine.do("HSET", name("k"), *fields)
        assert await one.tier.get("k") is None
        assert one.tier.statistics().damaged == 1
        await one.tier.put({"k": entry(one)})
        assert await one.tier.get("k") is not None


async def test_an_entry_of_another_key_is_a_miss(engine: Engine) -> None:
    """An entry that was put under another key's name is not served for it."""
    async with instance(section(engine)) as one:
        await one.tier.put({"mine": entry(one), "theirs": entry(one, b"secret")})
        engine.do("COPY", name("theirs"), name("mine"), "REPLACE")
        assert await one.tier.get("mine") is None
        assert one.tier.statistics().damaged == 1


async def test_an_entry_of_a_future_format_is_a_miss(engine: Engine) -> None:
    """An instance of a newer gateway may write what this one can't read."""
    async with instance(section(engine)) as one:
        await one.tier.put({"k": entry(one)})
        stamp = int(engine.do("HGET", name("k"), "s").split(b"\r\n")[1])
        row = bytearray(Codec(10_000, 0.1).encode("k", entry(one), stamp))
        row[0] = 99
        row[-16:] = hashlib.blake2b(
            bytes(row[:-16]) + stamp.to_bytes(8, "big", signed=True) + b"k", digest_size=16
        ).digest()
        engine.do("HSET", name("k"), "r", bytes(row), "s", str(stamp))
        assert await one.tier.get("k") is None
        assert one.tier.statistics().damaged == 1


async def test_a_key_of_another_type_is_a_counted_miss(engine: Engine) -> None:
    """Where the engine holds something else under the name, reading fails; writing puts it right."""
    async with instance(section(engine)) as one:
        engine.do("SET", name("k"), "text")
        assert await one.metered.get("k") is None
        assert one.metered.meter.errors == 1
        await one.metered.put({"k": entry(one)})
        assert await one.metered.get("k") is not None


async def test_a_dropped_state_is_noticed(engine: Engine) -> None:
    """Where the engine has lost what was purged, also only a part of it, nothing that it holds is believed."""
    async with instance(section(engine)) as one:
        for lost in ("gateway:state", "gateway:marks"):
            await one.tier.put({"k": entry(one)})
            one.pipeline.memory.put("k", entry(one))  # type: ignore[union-attr]
            engine.do("DEL", lost)
            with pytest.raises(TierError):
                await one.tier.get("k")
            await one.wait_up()
            assert await one.tier.get("k") is None
            assert one.pipeline.memory.get("k") is None  # type: ignore[union-attr]


async def test_a_flushed_script_is_sent_again(engine: Engine) -> None:
    """An engine that has forgotten its scripts is told them again."""
    async with instance(section(engine)) as one:
        engine.do("SCRIPT", "FLUSH")
        await one.tier.put({"k": entry(one)})
        engine.do("SCRIPT", "FLUSH")
        assert await one.tier.get("k") is not None


async def test_prefixes_keep_instances_apart(engine: Engine) -> None:
    """Instances with other prefixes see nothing of each other."""
    async with instance(section(engine)) as one, instance(section(engine, prefix="other")) as other:
        await one.tier.put({"k": entry(one)})
        assert await other.tier.get("k") is None
        await other.tier.purge(Selector("all"))
        assert await one.tier.get("k") is not None


async def test_an_engine_that_is_not_there(engine: Engine) -> None:
    """Without the engine the instance starts all the same, everything fails at once, and a purge is told later."""
    engine.kill()
    async with instance(section(engine)) as one:
        with pytest.raises(TierError, match="the engine is out of reach"):
            await one.tier.get("k")
        with pytest.raises(PurgePending, match="unless this process ends before"):
            await one.pipeline.purge(Selector("all"))
        assert await one.ask("k") == b"k"
        assert one.tier.statistics().untold == 1
        assert one.tier.statistics().down_seconds > 0
        engine.start()
        await one.wait_up()
        assert one.tier.statistics().untold == 0
        assert one.tier.statistics().down_seconds == 0


async def test_more_purges_than_are_remembered_one_by_one(engine: Engine) -> None:
    """Beyond the marks that are kept, what is older than the oldest of them counts as purged: more, never less."""
    async with instance(section(engine)) as one:
        await one.tier.put({"old": entry(one)})
        for first in range(0, 8300, 100):
            async with trio.open_nursery() as nursery:
                for number in range(first, first + 100):
                    nursery.start_soon(one.tier.purge, Selector("tag", f"x{number}"))
        assert await one.tier.get("old") is None
        await one.tier.put({"new": entry(one)})
        assert await one.tier.get("new") is not None


async def test_more_patterns_than_are_tried(engine: Engine) -> None:
    """Of more purges by pattern than a read tries, the oldest is widened to all that is older."""
    async with instance(section(engine)) as one:
        await one.tier.put({"old": entry(one)})
        for number in range(17):
            await one.tier.purge(Selector("glob", f"none{number}*"))
        assert await one.tier.get("old") is None


async def test_what_is_kept_is_stale_when_nothing_was_heard_for_too_long(engine: Engine) -> None:
    """With `trust`, an instance that can't hear of purges asks anew for what it holds, once that time is over."""
    worth = b"old"

    async def source(_key: str) -> bytes:
        await trio.lowlevel.checkpoint()
        return worth

    async with instance(section(engine, trust="1s"), source) as one, instance(section(engine), source) as other:
        for each in (one, other):
            assert await each.ask("k") == b"old"
        worth = b"new"
        engine.kill()
        with trio.fail_after(20):
            while await one.ask("k") == b"old":
                await trio.lowlevel.checkpoint()
        assert await other.ask("k") == b"old"


async def test_a_stream_that_somebody_else_wrote_into(engine: Engine) -> None:
    """What is no purge there is counted and passed over."""
    async with instance(section(engine)) as one:
        for words in (("what", "ever"), ("i", "x", "k", "nothing", "v", "", "s", "0")):
            engine.do("XADD", "gateway:purges", f"{one.tier.purging.heard + 10**8}-*", *words)
        engine.do("HSET", "gateway:state", "purged", str(one.tier.purging.heard + 10**8))
        with trio.fail_after(20):
            while one.telemetry.shared.total("unreadable") < 2:
                await trio.lowlevel.checkpoint()
        assert one.tier.link.up
