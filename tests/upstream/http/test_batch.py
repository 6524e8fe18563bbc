from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio
import trio.testing

from gateway.errors import GatewayError, UpstreamInvalid, UpstreamNotFound, UpstreamRejected, UpstreamUnavailable
from gateway.profile.upstreams.batch import Batch
from gateway.upstream.http.batch import Batcher, Key, Outcome
from gateway.upstream.model import Fetched, Wanted

USERS = Wanted("users", batch_key="1")


@dataclass
class Source:
    """Answers every key with its own text, after `delay`, and remembers when it was asked for which."""

    delay: float = 0.0
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    failure: Exception | None = None
    asked: list[tuple[float, str, list[Key]]] = field(default_factory=list)

    async def ask(self, group: Wanted, keys: list[Key]) -> dict[str, Outcome]:
        self.asked.append((trio.current_time(), group.path, keys))
        assert group.batch_key is None
        await trio.sleep(self.delay)
        if self.failure is not None:
            raise self.failure
        return {str(key): self.outcomes.get(str(key), Fetched(str(key).encode())) for key in keys}


@asynccontextmanager
async def batcher(source: Source, **section: Any) -> AsyncIterator[Batcher]:
    async with trio.open_nursery() as tasks:
        yield Batcher("api", Batch.model_validate({"parameter": "ids", **section}), source.ask, tasks, lambda _: None)
        tasks.cancel_scope.cancel()


def user(key: Key, path: str = "users") -> Wanted:
    return Wanted(path, batch_key=key)


async def gathered(batcher: Batcher, *wanted: Wanted) -> list[bytes | str]:
    """What came of each, asked for at the same moment; a failure is its sentence."""
    found: dict[int, bytes | str] = {}

    async def one(number: int) -> None:
        try:
            found[number] = (await batcher.fetch(wanted[number])).body
        except GatewayError as error:
            found[number] = str(error)

    async with trio.open_nursery() as nursery:
        for number in range(len(wanted)):
            nursery.start_soon(one, number)
    return [found[number] for number in range(len(wanted))]


async def test_requests_of_a_window_go_as_one(autojump_clock: trio.testing.MockClock) -> None:
    """The first one waits for 50 ms, and each gets its own."""
    source = Source()
    async with batcher(source) as batches:
        assert await gathered(batches, user("a"), user("b"), user(3)) == [b"a", b"b", b"3"]
    ((at, _, keys),) = source.asked
    assert (at, sorted(map(str, keys))) == (0.05, ["3", "a", "b"])


async def test_a_full_batch_goes_at_once(autojump_clock: trio.testing.MockClock) -> None:
    """What is too much for one is the next, with a window of its own."""
    source = Source()
    async with batcher(source) as batches:
        await gathered(batches, *(user(number) for number in range(120)))
    assert [(at, len(keys)) for at, _, keys in source.asked] == [(0.0, 50), (0.0, 50), (0.05, 20)]


async def test_later_requests_are_another_batch(autojump_clock: trio.testing.MockClock) -> None:
    """Also while the first one is under way."""
    source = Source(delay=1)
    async with batcher(source) as batches, trio.open_nursery() as nursery:
        nursery.start_soon(batches.fetch, user("a"))
        await trio.sleep(0.5)
        assert (await batches.fetch(user("b"))).body == b"b"
    assert [(at, keys) for at, _, keys in source.asked] == [(0.05, ["a"]), (0.55, ["b"])]


async def test_only_equal_requests_join(autojump_clock: trio.testing.MockClock) -> None:
    """Those that differ in anything but the key go by themselves."""
    source = Source()
    async with batcher(source) as batches:
        others = [user("a"), user("a", "groups"), Wanted("users", headers=(("X", "1"),), batch_key="a")]
        assert await gathered(batches, *others) == [b"a"] * 3
    assert len(source.asked) == 3


async def test_one_key_is_asked_for_once(autojump_clock: trio.testing.MockClock) -> None:
    """Several who want the same get the same; a number and its text are one key."""
    source = Source()
    async with batcher(source) as batches:
        assert await gathered(batches, user("7"), user("7"), user("8")) == [b"7", b"7", b"8"]
    ((_, _, keys),) = source.asked
    assert sorted(keys, key=str) == ["7", "8"]


async def test_one_that_fails_fails_alone(autojump_clock: trio.testing.MockClock) -> None:
    """The others get theirs."""
    source = Source(outcomes={"b": UpstreamNotFound("api", "no b"), "c": UpstreamInvalid("api", "bad c")})
    async with batcher(source) as batches:
        assert await gathered(batches, user("a"), user("b"), user("c")) == [b"a", "api: no b", "api: bad c"]


@pytest.mark.parametrize("failure", [UpstreamUnavailable("api", "down"), ZeroDivisionError("a mistake of ours")])
async def test_a_batch_that_fails_fails_for_all(autojump_clock: trio.testing.MockClock, failure: Exception) -> None:
    """And the next one is asked for anew; a mistake of ours ends no other batch."""
    source = Source(failure=failure)
    async with batcher(source) as batches:
        for _ in range(2):
            with pytest.raises(type(failure)):
                await batches.fetch(user("a"))
        source.failure = None
        assert (await batches.fetch(user("a"))).body == b"a"


@pytest.mark.parametrize("leaves_after", [0.01, 0.5])
async def test_a_caller_that_leaves_cancels_nothing(
    autojump_clock: trio.testing.MockClock, leaves_after: float
) -> None:
    """Neither in the window, nor when the batch is under way: the others get their answers."""
    source = Source(delay=1)
    async with batcher(source) as batches, trio.open_nursery() as nursery:

        async def leaving() -> None:
            with trio.move_on_after(leaves_after):
                await batches.fetch(user("a"))

        nursery.start_soon(leaving)
        await trio.sleep(0.001)
        assert (await batches.fetch(user("b"))).body == b"b"
    ((_, _, keys),) = source.asked
    assert keys == (["b"] if leaves_after < 0.05 else ["a", "b"])


async def test_nobody_waits_any_more(autojump_clock: trio.testing.MockClock) -> None:
    """A batch that everybody has left before it goes is not sent."""
    source = Source()
    async with batcher(source) as batches:
        with trio.move_on_after(0.01):
            await batches.fetch(user("a"))
        await trio.sleep(1)
    assert source.asked == []


async def test_a_key_that_would_be_two(autojump_clock: trio.testing.MockClock) -> None:
    """A key with the separator in it never becomes syntax, and holds nobody up."""
    source = Source()
    async with batcher(source, separator=",") as batches:
        assert await gathered(batches, user("a,admin"), user("b")) == [
            "api: the key 'a,admin' can't be one of several",
            b"b",
        ]
        with pytest.raises(UpstreamRejected):
            await batches.fetch(Wanted("users"))


async def test_closing(autojump_clock: trio.testing.MockClock) -> None:
    """Who waits when the gateway closes is told so."""
    said: list[str] = []

    async def waiting(batches: Batcher) -> None:
        with pytest.raises(GatewayError) as raised:
            await batches.fetch(user("a"))
        said.append(str(raised.value))

    async with trio.open_nursery() as nursery, batcher(Source(delay=9)) as batches:
        nursery.start_soon(waiting, batches)
        await trio.sleep(1)
    assert said == ["the gateway is closing"]
