"""Several gateways that share an engine: as processes, on real sockets, with kills."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

import httpx2
import pytest
import trio

from tests.system.fleet import Fleet, fleet

CALLERS = 1000
UNREACHABLE = ("--set", "cache.shared.timeout=300ms")


async def test_1000_misses_are_one_request(tmp_path: Path, nursery: trio.Nursery) -> None:
    """1000 concurrent misses over three instances ask the upstream once, and all get what it answered."""
    async with fleet(tmp_path, nursery) as gateways:
        gateways.upstream.offer("a")
        gateways.upstream.hold()
        answers: Counter[object] = Counter()
        under_way = 0

        def sent() -> None:
            nonlocal under_way
            under_way += 1
            if under_way == CALLERS:
                gateways.upstream.gate.set()

        async def caller(number: int) -> None:
            answers[await gateways.ask_alone(gateways.gateways[number % 3].port, "a", sent)] += 1

        async with trio.open_nursery() as callers:
            for number in range(CALLERS):
                callers.start_soon(caller, number)
        assert answers == {1: CALLERS}
        assert gateways.upstream.asked == {"a": 1}


async def test_a_purge_is_seen_everywhere(tmp_path: Path, nursery: trio.Nursery) -> None:
    """A purge on one instance is told to the others at once, and what was purged is never served again by any."""
    async with fleet(tmp_path, nursery) as gateways:
        gateways.upstream.offer("a")
        assert [await gateways.ask(number, "a") for number in range(3)] == [1, 1, 1]
        assert (await gateways.purge(0, tag="doc:a")).status_code == 200
        assert await gateways.ask(0, "a") == 1  # made of the document, which has no such tag
        assert (await gateways.purge(0, tag="upstream:api")).status_code == 200
        for number in range(3):
            await gateways.ask_until(number, "a", 2)
        assert [await gateways.ask(number, "a") for number in range(3)] == [2, 2, 2]
        assert gateways.upstream.asked == {"a": 2}
        heard = [await gateways.metric(number, 'gateway_shared_purges_total{event="heard"}') for number in range(3)]
        assert heard == [0, 2, 2]


async def test_nothing_is_lost_when_the_engine_and_an_instance_are_killed(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    """Under load, kill -9 of the engine and of one instance fails no request but those on that instance."""
    names = [f"d{number}" for number in range(400)]
    async with fleet(tmp_path, nursery) as gateways:
        gateways.upstream.offer(*names)
        answered: Counter[int] = Counter()
        halfway = trio.Event()

        async def caller(number: int, mine: list[str]) -> None:
            for name in mine:
                try:
                    await gateways.ask(number, name)
                except httpx2.TransportError:
                    assert number == 2
                    return
                answered[number] += 1
                if answered.total() >= 150:
                    halfway.set()

        async with trio.open_nursery() as callers:
            for each in range(12):
                callers.start_soon(caller, each % 3, names[each // 3 :: 4])
            await halfway.wait()
            gateways.engine.kill()
            gateways.signal(2, signal.SIGKILL)
        assert (answered[0], answered[1]) == (400, 400)
        for number in (0, 1):
            assert await gateways.metric(number, "gateway_shared_up") == 0


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
async def test_purged_while_off(end: signal.Signals, tmp_path: Path, nursery: trio.Nursery) -> None:
    """An instance that was not running when something was purged does not serve it from its file, not even once."""
    async with fleet(tmp_path, nursery, size=2) as gateways:
        gateways.upstream.offer("a", "b")
        for number, name in ((0, "a"), (1, "a"), (1, "b")):
            assert await gateways.ask(number, name) == 1
        await until_on_disk(gateways, 1, "a", "b")
        gateways.signal(1, end)
        await trio.to_thread.run_sync(gateways.gateways[1].process.wait)
        for what in ({"glob": "document:*:a"}, {"tag": "doc:a"}):
            assert (await gateways.purge(0, **what)).status_code == 200
        await gateways.start(1)
        assert await gateways.ask(1, "a") == 2
        gateways.engine.kill()
        assert await gateways.ask(1, "b") == 1  # of its file: only what was purged is gone
        assert gateways.upstream.asked == {"a": 2, "b": 1}


async def test_purged_while_stopped(tmp_path: Path, nursery: trio.Nursery) -> None:
    """An instance that was frozen for a while hears of the purge as soon as it goes on."""
    async with fleet(tmp_path, nursery, size=2) as gateways:
        gateways.upstream.offer("a")
        assert [await gateways.ask(number, "a") for number in range(2)] == [1, 1]
        gateways.signal(1, signal.SIGSTOP)
        await gateways.purge(0, all=True)
        assert await gateways.ask(0, "a") == 2
        gateways.signal(1, signal.SIGCONT)
        await gateways.ask_until(1, "a", 2)
        assert gateways.upstream.asked == {"a": 2}


async def test_the_engine_comes_back_with_its_data(tmp_path: Path, nursery: trio.Nursery) -> None:
    """What the instances hold is good after a restart of the engine, and purges are heard as before."""
    async with fleet(tmp_path, nursery, size=2) as gateways:
        gateways.upstream.offer("a")
        assert [await gateways.ask(number, "a") for number in range(2)] == [1, 1]
        await restart(gateways)
        assert [await gateways.ask(number, "a") for number in range(2)] == [1, 1]
        assert (await gateways.purge(0, all=True)).status_code == 200
        await gateways.ask_until(1, "a", 2)
        assert await gateways.ask(0, "a") == 2


async def test_the_engine_comes_back_without_its_data(tmp_path: Path, nursery: trio.Nursery) -> None:
    """Where nobody knows any more what was purged, every instance forgets all it holds."""
    async with fleet(tmp_path, nursery, size=2) as gateways:
        gateways.upstream.offer("a")
        assert [await gateways.ask(number, "a") for number in range(2)] == [1, 1]
        await restart(gateways, lose=True)
        assert [await gateways.ask(number, "a") for number in range(2)] == [2, 2]
        assert gateways.upstream.asked == {"a": 2}


@pytest.mark.parametrize("lose", [False, True])
@pytest.mark.parametrize("killed", [False, True])
async def test_purged_while_the_engine_is_down(killed: bool, lose: bool, tmp_path: Path, nursery: trio.Nursery) -> None:
    """A purge without an engine is done here, says so, and reaches the others later, also if who made it was killed."""
    async with fleet(tmp_path, nursery, size=2) as gateways:
        gateways.upstream.offer("a")
        assert [await gateways.ask(number, "a") for number in range(2)] == [1, 1]
        gateways.engine.kill()
        for number in range(2):
            await gateways.wait_logged(number, "out of reach")
        answer = await gateways.purge(0, all=True)
        assert answer.status_code >= 400
        assert "purged here; the other instances are told when the engine is back" in answer.text
        assert [await gateways.ask(number, "a") for number in range(2)] == [2, 1]
        assert await gateways.metric(0, "gateway_shared_untold_purges") == 1
        if killed:
            gateways.gateways[0].process.kill()
            await trio.to_thread.run_sync(gateways.gateways[0].process.wait)
        if lose:
            gateways.engine.lose_all()
        gateways.engine.start()
        if killed:
            await gateways.start(0)
        with trio.fail_after(20):
            while await gateways.ask(1, "a") == 1 or await gateways.metric(0, "gateway_shared_untold_purges"):
                pass


async def test_an_engine_that_hangs(tmp_path: Path, nursery: trio.Nursery) -> None:
    """An engine that accepts and never answers is taken for down; requests are answered without it until it is back."""
    async with fleet(tmp_path, nursery, *UNREACHABLE, size=2) as gateways:
        gateways.upstream.offer("a", "b", "c", "d")
        assert await gateways.ask(0, "a") == 1
        gateways.engine.freeze()
        assert [await gateways.ask(0, name) for name in ("a", "b")] == [1, 1]
        await gateways.wait_logged(0, "out of reach")
        assert await gateways.metric(0, "gateway_shared_up") == 0
        assert await gateways.ask(0, "c") == 1
        gateways.engine.thaw()
        with trio.fail_after(20):
            while not all([await gateways.metric(number, "gateway_shared_up") for number in range(2)]):
                pass
        assert [await gateways.ask(number, "d") for number in range(2)] == [1, 1]


async def test_the_holder_of_a_lease_is_killed(tmp_path: Path, nursery: trio.Nursery) -> None:
    """When the instance that asks the upstream is killed, one of those that wait takes over, and the other goes on."""
    async with fleet(tmp_path, nursery, "--set", "cache.shared.lease=1s") as gateways:
        upstream = gateways.upstream
        upstream.offer("a")
        upstream.hold()
        answers = []

        async def caller(number: int) -> None:
            answers.append(await gateways.ask(number, "a"))

        async def lost() -> None:
            with pytest.raises(httpx2.TransportError):
                await gateways.ask(0, "a")

        async with trio.open_nursery() as callers:
            callers.start_soon(lost)
            await upstream.arrived.wait()
            upstream.arrived = trio.Event()
            for number in (1, 2):
                callers.start_soon(caller, number)
            gateways.gateways[0].process.kill()
            await upstream.arrived.wait()
            upstream.gate.set()
        assert answers == [2, 2]
        assert upstream.asked == {"a": 2}


async def test_a_failure_is_shared_with_those_who_wait(tmp_path: Path, nursery: trio.Nursery) -> None:
    """An upstream that fails is asked once for all instances that wait for the same document, and then anew."""
    async with fleet(tmp_path, nursery) as gateways:
        upstream = gateways.upstream
        upstream.offer("a")
        upstream.hold()
        upstream.broken = True
        failures: list[str] = []

        async def caller(number: int) -> None:
            result = await gateways.call(number, "a")
            assert result.get("isError")
            failures.append(result["content"][0]["text"])

        async with trio.open_nursery() as callers:
            for number in range(3):
                callers.start_soon(caller, number)
            with trio.fail_after(20):
                while sum([await gateways.metric(number, "gateway_shared_waiting") for number in range(3)]) < 2:
                    pass
            upstream.gate.set()
        assert len(set(failures)) == 1
        assert "503" in failures[0]
        assert upstream.asked == {"a": 1}
        upstream.broken = False
        assert await gateways.ask(1, "a") == 2


async def test_an_upstreams_rate_is_that_of_all(tmp_path: Path, nursery: trio.Nursery) -> None:
    """So many requests as the limit allows are sent by all instances together, and none beyond."""
    names = [f"d{number}" for number in range(12)]
    limit = ("--set", "upstreams.api.rate_limit.max=5", "--set", "upstreams.api.rate_limit.window=1h")
    async with fleet(tmp_path, nursery, *limit) as gateways:
        gateways.upstream.offer(*names)
        refused = []
        for number, name in enumerate(names):
            result = await gateways.call(number % 3, name)
            if result.get("isError"):
                refused.append(result["content"][0]["text"])
        assert sum(gateways.upstream.asked.values()) == 5
        assert len(refused) == 7
        assert all("upstreams.api.rate_limit" in text for text in refused)


async def test_a_clients_rate_is_that_of_all(tmp_path: Path, nursery: trio.Nursery) -> None:
    """Once the instances have told each other, a client that has used up its requests on one has none on the others."""
    limit = ("--set", "server.rate_limit.max=200", "--set", "server.rate_limit.window=1h")
    async with fleet(tmp_path, nursery, *limit) as gateways:
        gateways.upstream.offer("a")
        statuses = [(await gateways.post(0, "a")).status_code for _ in range(202)]
        assert statuses == [200] * 200 + [429] * 2
        for number in (1, 2):
            admitted = 0
            with trio.fail_after(20):
                while (await gateways.post(number, "a")).status_code == 200:
                    admitted += 1
            assert admitted < 200  # it would be as many without the others


async def until_on_disk(gateways: Fleet, number: int, *names: str) -> None:
    """Until the answers about these have been written to the instance's file."""
    with trio.fail_after(20):
        while True:
            answer = await gateways.client.get(f"{gateways.gateways[number].admin}/api/cache/entries")
            keys = [entry["key"] for entry in answer.json()["entries"]]
            if all(any(key.endswith(f'{{"name":"{name}"}}') for key in keys) for name in names):
                return


async def restart(gateways: Fleet, *, lose: bool = False) -> None:
    """Kill the engine and start it again, until all are connected to it."""
    gateways.engine.kill()
    for number in gateways.gateways:
        await gateways.wait_logged(number, "out of reach")
    if lose:
        gateways.engine.lose_all()
    gateways.engine.start()
    with trio.fail_after(20):
        while not all([await gateways.metric(number, "gateway_shared_up") for number in gateways.gateways]):
            pass
