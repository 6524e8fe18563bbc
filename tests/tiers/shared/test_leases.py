from __future__ import annotations

from collections.abc import Callable

import pytest
import trio

from gateway.errors import (
    UpstreamError,
    UpstreamInvalid,
    UpstreamNotAsked,
    UpstreamNotFound,
    UpstreamRejected,
    UpstreamUnavailable,
)
from gateway.pipeline.invalidation import Selector
from tests.fakes.engine import Engine
from tests.tiers.shared.rig import instance, section


class Slow:
    """A source that answers when it may, and counts."""

    def __init__(self, error: Callable[[], UpstreamError] | None = None, payload: bytes = b"x") -> None:
        self.asked = 0
        self.arrived = trio.Event()
        self.go_on = trio.Event()
        self._error = error
        self._payload = payload

    async def __call__(self, key: str) -> bytes:
        self.asked += 1
        self.arrived.set()
        await self.go_on.wait()
        if self._error is not None:
            raise self._error()
        return self._payload


async def both(engine: Engine, source: Slow, *, waits: bool = True, **about: object) -> list[object]:
    """What two instances get that want the same at the same time."""
    answers: list[object] = []
    async with (
        instance(section(engine, **about), source) as one,
        instance(section(engine, **about), source) as other,
        trio.open_nursery() as nursery,
    ):

        async def ask(which: object) -> None:
            try:
                answers.append(await which.ask("k"))  # type: ignore[attr-defined]
            except UpstreamError as error:
                answers.append((type(error), str(error)))

        nursery.start_soon(ask, one)
        await source.arrived.wait()
        nursery.start_soon(ask, other)
        with trio.fail_after(20):
            while waits and not other.tier.waiting:
                await trio.lowlevel.checkpoint()
            while not waits and source.asked < 2:
                await trio.lowlevel.checkpoint()
        source.go_on.set()
    return answers


async def test_one_load_for_all(engine: Engine) -> None:
    """While one instance asks the upstream the other waits, and gets what was brought."""
    source = Slow()
    assert await both(engine, source) == [b"x", b"x"]
    assert source.asked == 1


async def test_without_single_flight_each_asks(engine: Engine) -> None:
    """Where the profile turned that off, nobody waits for anybody."""
    source = Slow()
    assert await both(engine, source, waits=False, single_flight=False) == [b"x", b"x"]
    assert source.asked == 2


@pytest.mark.parametrize("kind", [UpstreamUnavailable, UpstreamInvalid, UpstreamRejected, UpstreamNotFound])
async def test_those_who_wait_learn_how_it_failed(kind: type[UpstreamError], engine: Engine) -> None:
    """A failure is raised in every instance that waited for that load, and the upstream is not asked again for it."""
    source = Slow(lambda: kind("api", "it said é"))
    assert await both(engine, source) == [(kind, "api: it said é")] * 2
    assert source.asked == 1


async def test_what_was_not_asked_says_nothing_to_others(engine: Engine) -> None:
    """A limit of one instance is none of another's failure: that one asks for itself."""
    source = Slow(lambda: UpstreamNotAsked("api", "too many"))
    await both(engine, source)
    assert source.asked == 2


async def test_what_can_not_be_shared_is_asked_for_by_each(engine: Engine) -> None:
    """An answer that is too large for the tier is no reason to wait in turn."""
    source = Slow(payload=bytes(5000))
    assert await both(engine, source, max_value="2KB") == [bytes(5000)] * 2
    assert source.asked == 2


async def test_nobody_waits_for_longer_than_the_lease(engine: Engine) -> None:
    """When the holder takes longer than a lease, one of those who wait asks as well, and gives an answer."""
    source = Slow()
    async with (
        instance(section(engine, lease="200ms"), source) as one,
        instance(section(engine, lease="200ms"), source) as other,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(one.ask, "k")
        await source.arrived.wait()
        source.arrived = trio.Event()
        nursery.start_soon(other.ask, "k")
        await source.arrived.wait()
        source.go_on.set()
    assert source.asked == 2


async def test_after_a_purge_nobody_takes_what_began_before_it(engine: Engine) -> None:
    """Who asks after a purge waits for a load from before it, but does not take what that brings."""
    source = Slow()
    async with (
        instance(section(engine), source) as one,
        instance(section(engine), source) as other,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(one.ask, "k")
        await source.arrived.wait()
        source.arrived = trio.Event()
        await other.pipeline.purge(Selector("key", "k"))
        nursery.start_soon(other.ask, "k")
        with trio.fail_after(20):
            while not other.tier.waiting:
                await trio.lowlevel.checkpoint()
        source.go_on.set()
    assert source.asked == 2


async def test_the_engine_fails_while_one_waits(engine: Engine) -> None:
    """Who waits when the engine goes down asks the upstream at once."""
    source = Slow()
    async with (
        instance(section(engine), source) as one,
        instance(section(engine), source) as other,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(one.ask, "k")
        await source.arrived.wait()
        source.arrived = trio.Event()
        nursery.start_soon(other.ask, "k")
        with trio.fail_after(20):
            while not other.tier.waiting:
                await trio.lowlevel.checkpoint()
        engine.kill()
        await source.arrived.wait()
        source.go_on.set()
    assert source.asked == 2


async def test_a_cancelled_holder_gives_its_lease_up(engine: Engine) -> None:
    """An instance that closes in the middle of a load does not let the others wait for the whole lease."""
    source = Slow()
    async with instance(section(engine, lease="10m"), source) as other:
        async with instance(section(engine, lease="10m"), source) as one, trio.open_nursery() as nursery:

            async def ask() -> None:
                with pytest.raises(Exception, match="closing"):
                    await one.ask("k")

            nursery.start_soon(ask)
            await source.arrived.wait()
            one.stop()
        source.go_on.set()
        with trio.fail_after(20):
            assert await other.ask("k") == b"x"


async def test_what_is_not_shareable_is_not_shared(engine: Engine) -> None:
    """What a key means to one instance alone is neither looked for, nor waited for, nor put into the tier."""
    source = Slow()
    source.go_on.set()
    async with instance(section(engine), source) as one, instance(section(engine), source) as other:
        for each in (one, other):
            await each.ask("k", shareable=False)
        assert source.asked == 2
        assert await one.tier.get("k") is None
        assert await other.ask("l", asks=False) == b"x"
        with trio.fail_after(20):
            while await one.tier.get("l") is None:
                await trio.lowlevel.checkpoint()
