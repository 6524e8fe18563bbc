from __future__ import annotations

from pathlib import Path

import trio
import trio.testing

from gateway.pipeline.invalidation import Selector
from gateway.upstream.model import Fetched, Validators, Wanted
from gateway.watch.warmer import Progress, Warmer
from tests.catalogue.rig import open_rig
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


async def test_every_combination_is_called(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Each call of the profile is made with every combination of its values, a few at once, and told as it goes."""
    seen: list[Progress] = []
    async with open_rig(tmp_path, TOOL, api=FakeUpstream(otherwise=b"{}", delay=1.0)) as rig:
        began = trio.current_time()
        progress = await Warmer(rig.catalogue, rig.profile.warm).warm(seen.append)
        assert trio.current_time() - began == 3
    assert progress == Progress(total=5, done=5)
    assert [step.done for step in seen] == [0, 1, 2, 3, 4, 5]
    assert {str(wanted) for wanted in rig.api.asked} == {
        f"things/{path}" for path in ("a/1", "a/2", "b/1", "b/2", "c/1")
    }


async def test_a_failing_call_stops_nothing(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Failures are counted and named, and the other calls are made."""
    async with open_rig(tmp_path, TOOL, api=FakeUpstream(documents={"things/c/1": b"{}"})) as rig:
        progress = await Warmer(rig.catalogue, rig.profile.warm).warm()
    assert (progress.done, progress.failed) == (5, 4)
    assert "t {'name': 'a', 'size': 1}: api: no document things/a/1" in progress.failures


async def test_a_mistake_of_ours_stops_nothing(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Also what nobody expected to be raised is one failed call, and ends neither the round nor the gateway."""

    class Broken(FakeUpstream):
        async def fetch(self, wanted: Wanted, validators: Validators | None = None) -> Fetched:
            if "things/a/" in str(wanted):
                raise ZeroDivisionError("by zero")
            return await super().fetch(wanted, validators)

    async with open_rig(tmp_path, TOOL, api=Broken(otherwise=b"{}")) as rig:
        progress = await Warmer(rig.catalogue, rig.profile.warm).warm()
    assert (progress.done, progress.failed) == (5, 2)
    assert {failure.partition(": Exc")[0] for failure in progress.failures} == {
        "t {'name': 'a', 'size': 1}",
        "t {'name': 'a', 'size': 2}",
    }


async def test_it_warms_on_start_after_a_purge_and_on_request(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery, tmp_path: Path
) -> None:
    """`warmed` is set after the first round; two purges while a round runs are one more round."""
    async with open_rig(tmp_path, TOOL, api=FakeUpstream(otherwise=b"{}", delay=1.0)) as rig:
        warmer = Warmer(rig.catalogue, rig.profile.warm)
        await nursery.start(warmer.run)
        assert not warmer.warmed.is_set()
        await warmer.warmed.wait()
        assert len(rig.api.asked) == 5
        rig.memory.purge(Selector("all"))
        rig.disk.entries.clear()
        warmer.purged()
        warmer.purged()
        await trio.sleep(100)
        assert len(rig.api.asked) == 10


async def test_it_warms_at_every_interval(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery, tmp_path: Path
) -> None:
    """With an interval the calls are made again and again, and without `on_start` nobody has to wait for them."""
    text = TOOL.replace("on_start = true", 'interval = "1h"')
    async with open_rig(tmp_path, text, api=FakeUpstream(otherwise=b"{}")) as rig:
        warmer = Warmer(rig.catalogue, rig.profile.warm)
        await nursery.start(warmer.run)
        assert warmer.warmed.is_set()
        assert rig.api.asked == []
        await trio.sleep(3601)
        assert len(rig.api.asked) == 5
        await trio.sleep(3601)
        assert len(rig.api.asked) == 10
