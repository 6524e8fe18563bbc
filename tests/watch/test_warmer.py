from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from gateway.errors import GatewayError, UpstreamUnavailable
from gateway.pipeline.invalidation import Selector
from gateway.upstream.model import Fetched, Validators, Wanted
from gateway.watch.warmer import Progress, Warmer
from tests.catalogue.rig import Rig, open_rig
from tests.fakes.upstream import FakeUpstream

TOOL = """
[tools.t]
description = "A thing."
strategy = "s"
[tools.t.input.properties]
name = { type = "string" }
size = { type = "integer", default = 1 }
[tools.t.fetch]
upstream = "api"
path = "things/{name}/{size}"
[warm]
on_start = true
after_purge = true
concurrency = 2
[[warm.calls]]
tool = "t"
each = { name = ["a", "b"], size = [1, 2] }
[[warm.calls]]
tool = "t"
arguments = { name = "c" }
"""


WRITER = """
[tools.w]
description = "Changes a thing."
strategy = "s"
annotations = { read_only = false }
invalidates = ["tool:t"]
[tools.w.fetch]
upstream = "api"
path = "changed"
"""


@asynccontextmanager
async def running(rig: Rig, *, ahead: bool = True) -> AsyncIterator[Warmer]:
    """A warmer as the assembly starts it."""
    warmer = Warmer(rig.catalogue, rig.profile.warm, rig.clock)
    with rig.pipeline.listening(warmer.purged):
        async with trio.open_nursery() as services:
            await services.start(partial(warmer.run, ahead=ahead))
            yield warmer
            services.cancel_scope.cancel()


async def test_every_combination_is_called(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Each call of the profile is made with every combination of its values, a few at once, and told as it goes."""
    seen: list[Progress] = []
    async with open_rig(tmp_path, TOOL, api=FakeUpstream(otherwise=b"{}", delay=1.0)) as rig:
        began = trio.current_time()
        async with running(rig, ahead=False) as warmer:
            progress = await warmer.warm(seen.append)
        assert trio.current_time() - began == 3
    assert progress == Progress(total=5, done=5)
    steps = [step.done for step in seen]
    assert (steps, steps[0], steps[-1]) == (sorted(steps), 0, 5)
    assert {str(wanted) for wanted in rig.api.asked} == {
        f"things/{path}" for path in ("a/1", "a/2", "b/1", "b/2", "c/1")
    }


async def test_a_failing_call_stops_nothing(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Failures are counted and named, and the other calls are made."""
    api = FakeUpstream(documents={"things/c/1": b"{}"})
    async with open_rig(tmp_path, TOOL, api=api) as rig, running(rig, ahead=False) as warmer:
        progress = await warmer.warm()
    assert (progress.done, progress.failed) == (5, 4)
    assert "t {'name': 'a', 'size': 1}: api: no document things/a/1" in progress.failures


async def test_a_mistake_of_ours_stops_nothing(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Also what nobody expected to be raised is one failed call, and ends neither the round nor the gateway."""

    class Broken(FakeUpstream):
        async def fetch(self, wanted: Wanted, validators: Validators | None = None) -> Fetched:
            if "things/a/" in str(wanted):
                raise ZeroDivisionError("by zero")
            return await super().fetch(wanted, validators)

    async with open_rig(tmp_path, TOOL, api=Broken(otherwise=b"{}")) as rig, running(rig, ahead=False) as warmer:
        progress = await warmer.warm()
    assert (progress.done, progress.failed) == (5, 2)
    assert set(progress.failures) == {
        "t {'name': 'a', 'size': 1}: ZeroDivisionError: by zero",
        "t {'name': 'a', 'size': 2}: ZeroDivisionError: by zero",
    }


async def test_it_warms_on_start_and_after_a_purge(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """`warmed` is set after the first round; two purges while a round runs are one more round."""
    async with open_rig(tmp_path, TOOL, api=FakeUpstream(otherwise=b"{}", delay=1.0)) as rig, running(rig) as warmer:
        assert not warmer.warmed.is_set()
        await warmer.warmed.wait()
        assert len(rig.api.asked) == 5
        await rig.pipeline.purge(Selector("all"))
        await trio.sleep(0.5)
        await rig.pipeline.purge(Selector("key", "a"))
        await rig.pipeline.purge(Selector("key", "b"))
        await trio.sleep(100)
        assert len(rig.api.asked) == 10


async def test_it_warms_after_a_tool_has_changed_something(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """What a call `invalidates` is purged, and that is a purge like any other."""
    api = FakeUpstream(otherwise=b"{}", delay=1.0)
    text = TOOL.replace("[warm]", WRITER + "[warm]").replace("on_start = true", "")
    async with open_rig(tmp_path, text, api=api) as rig, running(rig) as warmer:
        await warmer.warm()
        assert (await rig.status(name="a"))[0] == "hit"
        await rig.call("w")
        await trio.sleep(10)
        assert {(await rig.status(name="b", size=size))[0] for size in (1, 2)} == {"hit"}


async def test_it_warms_at_every_interval(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """With an interval the calls are made again and again, and without `on_start` nobody has to wait for them."""
    text = TOOL.replace("on_start = true", 'interval = "1h"')
    async with open_rig(tmp_path, text, api=FakeUpstream(otherwise=b"{}")) as rig, running(rig) as warmer:
        assert warmer.warmed.is_set()
        assert rig.api.asked == []
        await trio.sleep(3601)
        assert len(rig.api.asked) == 5
        await trio.sleep(3601)
        assert len(rig.api.asked) == 10


async def test_nothing_is_cold_between_two_rounds(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """A round renews what would be stale before the next one: whenever somebody asks, it is a hit, from then on."""
    text = TOOL.replace("on_start = true", 'on_start = true\ninterval = "70s"')  # and the strategy's ttl is 100 s
    async with open_rig(tmp_path, text, api=FakeUpstream(otherwise=b"{}", delay=1.0)) as rig, running(rig) as warmer:
        await warmer.warmed.wait()
        for _ in range(100):
            assert (await rig.status(name="a", size=1))[0] == "hit"
            await trio.sleep(5)


async def test_a_round_leaves_what_stays_fresh(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """A ttl of many rounds is not asked for in each of them."""
    text = TOOL.replace("on_start = true", 'on_start = true\ninterval = "20s"')  # and the strategy's ttl is 100 s
    async with open_rig(tmp_path, text, api=FakeUpstream(otherwise=b"{}")) as rig, running(rig):
        await trio.sleep(399)
        assert 5 * 4 <= len(rig.api.asked) <= 5 * 5


async def test_a_round_asks_once_for_what_many_calls_share(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """What can't stay fresh until the next round is renewed once in each, not by every call that reads it."""
    text = TOOL.replace("on_start = true", 'on_start = true\ninterval = "1h"').replace("things/{name}/{size}", "one")
    async with open_rig(tmp_path, text, api=FakeUpstream(otherwise=b"{}", delay=1.0)) as rig, running(rig):
        for rounds in (1, 2, 3):
            await trio.sleep(3599)
            assert len(rig.api.asked) == rounds


async def test_a_failing_renewal_leaves_what_there_is(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """What is still fresh is served on when the upstream does not answer in the round that would renew it."""
    text = TOOL.replace("on_start = true", 'on_start = true\ninterval = "70s"')
    api = FakeUpstream(otherwise=b"{}", delay=1.0)
    async with open_rig(tmp_path, text, api=api) as rig, running(rig) as warmer:
        await warmer.warmed.wait()
        api.otherwise = None
        api.documents = {
            f"things/{name}/{size}": UpstreamUnavailable("api", "down") for name in "abc" for size in (1, 2)
        }
        await trio.sleep(80)
        assert len(api.asked) == 10
        assert (await rig.status(name="a"))[0] == "hit"


async def test_there_is_one_round_at_a_time(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Whoever asks while one is under way is told of that one; after a purge it is another one, for all who ask."""
    text = TOOL.replace("on_start = true", "")
    async with (
        open_rig(tmp_path, text, api=FakeUpstream(otherwise=b"{}", delay=1.0)) as rig,
        running(rig, ahead=False) as warmer,
        trio.open_nursery() as nursery,
    ):
        seen: list[list[int]] = [[] for _ in range(6)]
        for steps in seen[:3]:
            nursery.start_soon(warmer.warm, lambda step, steps=steps: steps.append(step.done))
        await trio.sleep(1.5)
        rig.memory.purge(Selector("all"))
        rig.disk.entries.clear()
        await rig.pipeline.purge(Selector("tag", "t"))
        for steps in seen[3:]:
            nursery.start_soon(warmer.warm, lambda step, steps=steps: steps.append(step.done))
        await trio.sleep(100)
        assert [steps[-1] for steps in seen] == [5] * 6
        assert all(steps == sorted(steps) for steps in seen)
        assert len(rig.api.asked) <= 10 + 2


async def test_who_stops_looking_does_not_stop_the_round(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """A client that leaves takes nothing away from the others, who see it to its end."""
    async with (
        open_rig(tmp_path, TOOL, api=FakeUpstream(otherwise=b"{}", delay=1.0)) as rig,
        running(rig, ahead=False) as warmer,
    ):
        with trio.move_on_after(1.5):
            await warmer.warm()
        assert (await warmer.warm()).done == 5
        assert len(rig.api.asked) == 5


async def test_a_round_that_is_cut_off_is_told(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Who waits for a round when the gateway closes does not wait for ever."""
    async with open_rig(tmp_path, TOOL, api=FakeUpstream(otherwise=b"{}", delay=1.0)) as rig:
        async with running(rig, ahead=False) as warmer:
            steps = warmer.steps()
            assert (await anext(steps)).done == 0
        async with aclosing(steps):
            with pytest.raises(GatewayError, match="the gateway is closing"):
                async for _ in steps:
                    pass
