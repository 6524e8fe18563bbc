from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gateway.errors import UpstreamNotAsked
from gateway.profile.upstreams.policies import Politeness
from gateway.upstream.policies.concurrency import Slots


def slots_of(connections: int | None = None, **more: Any) -> Slots:
    table = {"max_concurrent": 2, "max_queue": 3, **more}
    return Slots("api", Politeness.model_validate(table), connections)


async def hold(slots: Slots, seconds: float, served: list[int] | None = None, number: int = 0) -> None:
    async with slots.slot():
        if served is not None:
            served.append(number)
        await trio.sleep(seconds)


async def test_the_rest_wait_in_order(autojump_clock: MockClock) -> None:
    """First come, first served."""
    slots, served = slots_of(max_concurrent=1, max_queue=100), list[int]()
    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(hold, slots, 1.0, served, number)
            await wait_all_tasks_blocked()
        assert (slots.under_way, slots.waiting) == (1, 19)
    assert served == list(range(20))
    assert (slots.under_way, slots.waiting) == (0, 0)


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (
            {},
            "api: not asked, it is busy: 2 requests are under way (upstreams.api.max_concurrent) "
            "and 3 wait already (upstreams.api.max_queue)",
        ),
        (
            {"connections": 1, "max_queue": 0},
            "api: not asked, it is busy: 1 requests are under way (upstreams.api.pool.max_connections) "
            "and none may wait (upstreams.api.max_queue)",
        ),
    ],
)
async def test_one_too_many_is_refused_at_once(
    autojump_clock: MockClock, limits: dict[str, int], sentence: str
) -> None:
    """The sentence names the limits that are reached; there is room again when one goes."""
    slots = slots_of(**limits)
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(_tolerant, slots)
            await wait_all_tasks_blocked()
        with pytest.raises(UpstreamNotAsked) as refused:
            await hold(slots, 1.0)
        assert str(refused.value) == sentence
        assert trio.current_time() == start
        await trio.sleep(11)
        await hold(slots, 1.0)


async def _tolerant(slots: Slots) -> None:
    try:
        await hold(slots, 10.0)
    except UpstreamNotAsked:
        assert slots.waiting == 0


async def test_a_wait_that_takes_long_is_given_up(autojump_clock: MockClock) -> None:
    """`queue_timeout`: the place in the queue is free for others then."""
    slots = slots_of(max_concurrent=1, max_queue=1, queue_timeout="2s")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hold, slots, 10.0)
        await wait_all_tasks_blocked()
        for _ in range(2):
            with pytest.raises(UpstreamNotAsked) as refused:
                await hold(slots, 1.0)
            assert str(refused.value) == (
                "api: not asked, it is busy: 1 requests were under way (upstreams.api.max_concurrent) "
                "for all of 2s (upstreams.api.queue_timeout)"
            )


async def test_one_who_goes_away_leaves_the_queue(autojump_clock: MockClock) -> None:
    """Their place is free, and no slot is lost."""
    slots = slots_of(max_concurrent=1, max_queue=1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hold, slots, 10.0)
        await wait_all_tasks_blocked()
        for _ in range(5):
            with trio.move_on_after(1.0):
                await hold(slots, 1.0)
        assert (slots.under_way, slots.waiting) == (1, 0)
    with trio.fail_after(1.5):
        await hold(slots, 1.0)


async def test_a_slot_without_waiting(autojump_clock: MockClock) -> None:
    """Only where nobody waits."""
    slots = slots_of(max_concurrent=2)
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(hold, slots, 1.0)
        await wait_all_tasks_blocked()
        assert slots.take_nowait() is None
    slot = slots.take_nowait()
    assert slot is not None
    assert slots.under_way == 1
    slots.release(slot)
    assert slots.under_way == 0


async def test_more_slots_let_in_who_waits(autojump_clock: MockClock) -> None:
    """Each new slot is for the next in the queue, and who had to wait is counted."""
    slots = slots_of(max_queue=10)
    async with trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(hold, slots, 1.0)
        await wait_all_tasks_blocked()
        assert (slots.under_way, slots.waiting, slots.waits) == (2, 4, 4)
        slots.resize(5)
        await wait_all_tasks_blocked()
        assert (slots.limit, slots.under_way, slots.waiting) == (5, 5, 1)


async def test_fewer_slots_end_nothing(autojump_clock: MockClock) -> None:
    """What is under way goes on; nobody new is let in until there are fewer than may be, and the refusal says why."""
    slots = slots_of(max_concurrent=4, max_queue=1)
    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(hold, slots, 1.0)
        await wait_all_tasks_blocked()
        slots.resize(2)
        assert slots.under_way == 4
        nursery.start_soon(hold, slots, 1.0)
        await wait_all_tasks_blocked()
        assert (slots.under_way, slots.waiting) == (4, 1)
        with pytest.raises(
            UpstreamNotAsked, match=r"2 requests are under way \(upstreams\.api\.max_concurrent, moved by"
        ):
            await hold(slots, 0.0)
    assert (slots.under_way, slots.waiting) == (0, 0)
