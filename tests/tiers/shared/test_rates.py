from __future__ import annotations

import trio

from gateway.profile.upstreams.policies import RateLimit
from gateway.tiers.shared.rates import ClientRates, SharedRate
from gateway.upstream.policies.rate import ReportedBucket
from tests.fakes.engine import Engine
from tests.tiers.shared.rig import Instance, instance, section

LIMIT = RateLimit(max=10, window="1h")  # type: ignore[arg-type]


def rate(one: Instance, name: str = "api") -> SharedRate:
    return SharedRate(one.tier.link, one.tier.names, name, LIMIT)


async def test_an_upstreams_tokens_are_given_out_once(engine: Engine) -> None:
    """However many ask at once, on however many instances, there are as many tokens as the limit says."""
    async with instance(section(engine)) as one, instance(section(engine)) as other:
        waits: list[float] = []

        async def take(which: Instance) -> None:
            waits.append(await rate(which).wait(0.0))

        async with trio.open_nursery() as nursery:
            for number in range(40):
                nursery.start_soon(take, (one, other)[number % 2])
        assert sorted(waits)[:10] == [0.0] * 10
        assert all(300 < wait <= 360 for wait in sorted(waits)[10:])
        assert await rate(one, "another").wait(0.0) == 0.0


async def test_a_token_is_reserved_for_later_where_one_may_wait(engine: Engine) -> None:
    """Who may wait that long gets the next turn, and those after it the ones after that."""
    async with instance(section(engine)) as one:
        waits = [await rate(one).wait(3600.0) for _ in range(12)]
        assert waits[:10] == [0.0] * 10
        assert 300 < waits[10] <= 360
        assert 660 < waits[11] <= 720


async def test_without_an_engine_nothing_is_held_back(engine: Engine) -> None:
    """Each instance keeps to its own bucket alone then."""
    engine.kill()
    async with instance(section(engine)) as one:
        assert [await rate(one).wait(0.0) for _ in range(20)] == [0.0] * 20


async def test_what_clients_take_is_owed_by_all(engine: Engine) -> None:
    """What both let through before they heard of each other counts for both, and nothing is let through until then."""
    async with instance(section(engine)) as one, instance(section(engine)) as other, trio.open_nursery() as nursery:
        now = 1000.0
        buckets = []
        for each in (one, other):
            rates = ClientRates(each.tier.link, each.tier.names, lambda: now)
            bucket = ReportedBucket(LIMIT, rates.key("client", "alice"), rates.took)
            buckets.append(bucket)
            assert [bucket.take_nowait(now) for _ in range(10)] == [now] * 10
            before = bucket.take_nowait(now)
            assert 300 < before - now <= 360
            await nursery.start(rates.run)
            with trio.fail_after(20):
                while each is one and engine.do("EXISTS", bucket.key) == b":0\r\n":
                    await trio.lowlevel.checkpoint()
                while each is other and bucket.take_nowait(now) == before:
                    await trio.lowlevel.checkpoint()
        assert buckets[1].take_nowait(now) - now > 3600  # ten too many were let through
        nursery.cancel_scope.cancel()
