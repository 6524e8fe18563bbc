"""All policies together: their order, and what they promise as a whole."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gateway.errors import UpstreamNotAsked, UpstreamNotFound, UpstreamUnavailable
from gateway.profile.upstreams.policies import Politeness
from gateway.upstream.policies import Policies
from gateway.upstream.policies.deadline import Doing, deadline


def policies_of(**more: Any) -> Policies:
    table = {"retry_delay": "1s", "timeout": "30s", **more}
    return Policies("api", Politeness.model_validate(table), lambda _low, high: high)


class Api:
    """An upstream that answers after `seconds`, or is down."""

    def __init__(self, seconds: float = 0.0, *, down: bool = False) -> None:
        self.seconds = seconds
        self.down = down
        self.times: list[float] = []
        self.now = self.most = 0

    async def __call__(self) -> str:
        self.times.append(trio.current_time())
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await trio.sleep(self.seconds)
        finally:
            self.now -= 1
        if self.down:
            raise UpstreamUnavailable("api", "down")
        return "answer"


async def outcome(policies: Policies, attempt: Callable[[], Awaitable[str]], *, idempotent: bool = True) -> str:
    """The answer, or the sentence of the failure."""
    try:
        return await policies.ask(attempt, idempotent=idempotent)
    except UpstreamUnavailable as failure:
        return failure.message


async def test_only_what_is_idempotent_is_tried_again(autojump_clock: MockClock) -> None:
    """What may have been done already is not done twice."""
    policies, api = policies_of(), Api(down=True)
    assert await outcome(policies, api, idempotent=False) == "down"
    assert len(api.times) == 1
    assert await outcome(policies, api) == "down"
    assert len(api.times) == 5


async def test_an_outage_is_not_amplified(autojump_clock: MockClock) -> None:
    """A thousand callers want four tries each of an upstream that is down: it gets 1.2 times as many at most."""
    policies, api = policies_of(breaker={"enabled": False}, max_concurrent=1000, timeout="100s"), Api(0.1, down=True)
    async with trio.open_nursery() as nursery:
        for _ in range(1000):
            nursery.start_soon(outcome, policies, api)
            await trio.sleep(0.01)
    assert 1140 <= len(api.times) <= 1200
    now = policies.statistics()
    assert (now.requests, now.requests + now.extra) == (1000, len(api.times))


async def test_an_outage_behind_a_breaker_costs_nearly_nothing(autojump_clock: MockClock) -> None:
    """A caller every 100 ms for ten minutes: a handful of requests, and all is well when the upstream is back."""
    policies, api = policies_of(), Api(0.01, down=True)
    for _ in range(6000):
        await outcome(policies, api, idempotent=False)
        await trio.sleep(0.1)
    assert 10 <= len(api.times) <= 20
    api.down = False
    await trio.sleep(120)
    assert [await outcome(policies, api) for _ in range(3)] == ["answer"] * 3


async def test_an_open_breaker_is_not_queued_for(autojump_clock: MockClock) -> None:
    """Refused at once, also when all slots are taken; and nobody who waits for a slot is sent when it has opened."""
    policies, api = policies_of(max_concurrent=2, retries=0, breaker={"failures": 2}), Api(5, down=True)
    said: list[str] = []

    async def caller() -> None:
        said.append(await outcome(policies, api))

    async with trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(caller)
        await wait_all_tasks_blocked()
        start = trio.current_time()
        nursery.cancel_scope.deadline = start + 5.5
    assert len(api.times) == 2
    assert len(said) == 6
    assert sum(what.startswith("not asked for 5s more") for what in said) == 4


async def test_nobody_pauses_for_a_retry_that_would_be_refused(autojump_clock: MockClock) -> None:
    """The failure that trips the breaker is told at once, unless the pause is longer than the ejection."""
    policies, api = policies_of(breaker={"failures": 1, "ejection": "5s"}), Api(down=True)
    start = trio.current_time()
    assert await outcome(policies, api) == "down"
    assert trio.current_time() == start
    patient, api = policies_of(retry_delay="6s", retries=1, breaker={"failures": 1, "ejection": "5s"}), Api(down=True)
    assert await outcome(patient, api) == "down"
    assert len(api.times) == 2


async def test_a_breaker_does_not_hear_of_callers_who_leave(autojump_clock: MockClock) -> None:
    """A hundred impatient callers of an upstream that is merely slow."""
    policies, api = policies_of(), Api(5)
    for _ in range(100):
        with trio.move_on_after(1):
            await policies.ask(api, idempotent=True)
    assert await outcome(policies, api) == "answer"


@pytest.mark.parametrize("limit", [{"timeout": "2s"}, {"try_timeout": "2s"}])
async def test_a_breaker_hears_of_time_that_runs_out(autojump_clock: MockClock, limit: dict[str, str]) -> None:
    """Whether it is the try's or the whole request's."""
    policies, api = policies_of(retries=0, **limit), Api(5)
    for _ in range(5):
        assert "no answer within 2s" in await outcome(policies, api)
    assert "no answer" in (await outcome(policies, api)).partition("the last: ")[2]


async def test_a_breaker_hears_of_a_deadline_over_several_requests(autojump_clock: MockClock) -> None:
    """Such as that of a package, which ends before that of the request for its second part; a caller's own does not."""

    async def state(patience: float) -> str:
        policies, api = policies_of(retries=0), Api(60)
        for _ in range(5):
            with trio.move_on_after(patience), suppress(UpstreamUnavailable), deadline("api", 10, Doing()):
                await trio.sleep(1)
                await policies.ask(api, idempotent=True)
        return policies.statistics().breaker.state

    assert await state(patience=25) == "open"
    assert await state(patience=5) == "closed"


async def test_the_deadline_holds_whatever_waits(autojump_clock: MockClock) -> None:
    """Slots, tokens, tries and pauses: nobody waits for longer than `timeout`."""
    policies, api = (
        policies_of(max_concurrent=3, rate_limit={"max": 2, "window": "1s"}, timeout="10s"),
        Api(4, down=True),
    )

    async def caller() -> None:
        start = trio.current_time()
        await outcome(policies, api)
        assert trio.current_time() - start <= 10.001

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(caller)
    assert api.most <= 3


async def test_what_it_waited_for(autojump_clock: MockClock) -> None:
    """The sentence about the deadline says what the attempt told."""
    doing = Doing()

    async def attempt() -> str:
        doing.now = "counting sheep"
        await trio.sleep_forever()
        raise AssertionError

    with pytest.raises(UpstreamUnavailable, match=r"no answer within 30s \(.*: it was still counting sheep$"):
        await policies_of().ask(attempt, idempotent=True, doing=doing)


# Hedging.


class Stumbling(Api):
    """An upstream that takes long for every tenth request."""

    async def __call__(self) -> str:
        self.seconds = 5.0 if len(self.times) % 10 == 0 else 0.1
        return await super().__call__()


async def test_a_hedge_cuts_the_tail(autojump_clock: MockClock) -> None:
    """Without one a tenth of the callers wait for long, with it nobody does; it costs a tenth more requests."""
    for hedge, longest in ((None, 5.0), ({"after": "500ms"}, 0.6)):
        policies, api = policies_of(hedge=hedge), Stumbling()
        waits = []
        for _ in range(90):
            start = trio.current_time()
            assert await outcome(policies, api) == "answer"
            waits.append(trio.current_time() - start)
        assert max(waits) == pytest.approx(longest)
        assert len(api.times) == (90 if hedge is None else 99) + (hedge is not None)


async def test_hedges_count_against_the_budget(autojump_clock: MockClock) -> None:
    """An upstream that is slow all the time is not asked twice all the time."""
    policies, api = policies_of(hedge={"after": "100ms"}, max_concurrent=1000), Api(1.0)
    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(outcome, policies, api)
            await trio.sleep(0.01)
    assert 110 <= len(api.times) <= 120


async def test_a_hedge_has_a_slot_of_its_own(autojump_clock: MockClock) -> None:
    """`max_concurrent` holds, so where all slots are taken none is sent; the slot is given back."""
    policies, api = policies_of(hedge={"after": "100ms"}, max_concurrent=3, retries=10), Api(1.0)
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(outcome, policies, api)
    assert api.most == 3
    assert policies.statistics().under_way == 0
    assert await outcome(policies, api) == "answer"


async def test_only_what_is_idempotent_is_hedged(autojump_clock: MockClock) -> None:
    """What must not be done twice is not."""
    policies, api = policies_of(hedge={"after": "100ms"}), Api(1.0)
    assert await outcome(policies, api, idempotent=False) == "answer"
    assert len(api.times) == 1


async def test_a_hedge_waits_for_no_token(autojump_clock: MockClock) -> None:
    """Where the rate has nothing to spare, the first request is waited for."""
    policies, api = policies_of(hedge={"after": "100ms"}, rate_limit={"max": 1, "window": "10s"}), Api(1.0)
    assert await outcome(policies, api) == "answer"
    assert len(api.times) == 1


async def test_cancelling_a_hedged_request_leaves_nothing(autojump_clock: MockClock) -> None:
    """Slots, queue and breaker are as before."""
    policies, api = policies_of(hedge={"after": "100ms"}, breaker={"failures": 1}), Api(10.0)
    with trio.move_on_after(1.0):
        await policies.ask(api, idempotent=True)
    now = policies.statistics()
    assert len(api.times) == 2
    assert (now.under_way, now.queued, now.throttled, now.breaker.state) == (0, 0, 0, "closed")


async def test_cancelling_anywhere_leaves_nothing(autojump_clock: MockClock) -> None:
    """Callers that leave at any moment: no slot is lost, no one is left in a queue, the breaker knows nothing."""
    policies = policies_of(max_concurrent=2, rate_limit={"max": 5, "window": "1s"}, hedge={"after": "300ms"})
    api = Api(0.7)

    async def caller(patience: float) -> None:
        with trio.move_on_after(patience):
            await policies.ask(api, idempotent=True)

    async with trio.open_nursery() as nursery:
        for step in range(60):
            nursery.start_soon(caller, step / 10)
    now = policies.statistics()
    assert (now.under_way, now.queued, now.throttled, now.breaker.failures) == (0, 0, 0, 0)
    assert await outcome(policies, api) == "answer"


async def test_other_failures_pass_through(autojump_clock: MockClock) -> None:
    """What will not pass is final, and nothing was refused."""

    async def missing() -> str:
        raise UpstreamNotFound("api", "no such document")

    for more in ({}, {"hedge": {"after": "1s"}}):
        with pytest.raises(UpstreamNotFound):
            await policies_of(**more).ask(missing, idempotent=True)


async def test_who_is_refused_was_not_sent(autojump_clock: MockClock) -> None:
    """One request under way, none may wait: the second is refused, and the upstream does not see it."""
    policies, api = policies_of(max_concurrent=1, max_queue=0), Api(1.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outcome, policies, api)
        await wait_all_tasks_blocked()
        with pytest.raises(UpstreamNotAsked):
            await policies.ask(api, idempotent=True)
    assert (len(api.times), policies.statistics().requests) == (1, 1)
