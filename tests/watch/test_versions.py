from __future__ import annotations

from pathlib import Path

import trio
import trio.testing

from gateway.errors import TierError, UpstreamUnavailable
from gateway.pipeline.invalidation import Selector
from gateway.watch.versions import VersionWatch
from tests.catalogue.rig import open_rig
from tests.fakes.upstream import FakeUpstream


async def test_a_new_release_is_noticed_once(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery, tmp_path: Path
) -> None:
    """The first look learns what the latest is; another one later is told once, with what it was before."""
    told = []

    async def changed(*about: str) -> None:
        told.append(about)

    async with open_rig(tmp_path, "", api=FakeUpstream(releases_listed=["1.0.0"])) as rig:
        watch = VersionWatch(rig.catalogue.documents, "api", 600, changed)
        await nursery.start(watch.run)
        await trio.sleep(1300)
        assert (watch.latest, told) == ("1.0.0", [])
        rig.api.releases_listed = ["1.1.0", "1.0.0"]
        await trio.sleep(1300)
        assert (watch.latest, told) == ("1.1.0", [("api", "1.0.0", "1.1.0")])


async def test_an_upstream_that_is_down_is_asked_again(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery, tmp_path: Path
) -> None:
    """A look that fails is logged and forgotten."""

    async def changed(*_: str) -> None:
        raise AssertionError

    api = FakeUpstream(documents={"releases": UpstreamUnavailable("api", "down")})
    async with open_rig(tmp_path, "", api=api) as rig:
        watch = VersionWatch(rig.catalogue.documents, "api", 600, changed)
        await nursery.start(watch.run)
        await trio.sleep(10)
        assert watch.latest is None
        del rig.api.documents["releases"]
        await trio.sleep(600)
        assert watch.latest == "2.0.0"


PRIVATE = """
[strategies.private]
ttl = "1h"
scope = "private"
[tools.t]
description = "A thing."
strategy = "private"
[tools.t.fetch]
upstream = "api"
path = "x"
version = "latest"
"""


async def test_private_answers_follow_a_new_release(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Each private caller has a list of releases of their own; it is not believed any longer, either."""
    api = FakeUpstream(releases_listed=["1.0.0"], documents={"x@1.0.0": b'{"v":1}', "x@2.0.0": b'{"v":2}'})
    async with open_rig(tmp_path, PRIVATE, api=api) as rig:

        async def changed(upstream: str, _before: str, _latest: str) -> None:
            await rig.pipeline.purge(Selector("tag", f"floating:{upstream}"), soft=True)

        watch = VersionWatch(rig.catalogue.documents, "api", 600, changed)
        await watch.look()
        assert b'"v":1' in (await rig.catalogue.call("t", {}, caller="me")).payload
        api.releases_listed = ["2.0.0", "1.0.0"]
        await trio.sleep(1)
        await watch.look()
        assert b'"v":2' in (await rig.catalogue.call("t", {}, caller="me")).payload


async def test_a_release_that_could_not_be_told_is_told_again(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery, tmp_path: Path
) -> None:
    """When the purge fails, or anything else, what depends on the release is still to be made new at the next look."""
    told = []

    async def changed(_upstream: str, _before: str, latest: str) -> None:
        told.append(latest)
        if len(told) < 3:
            raise [TierError("disk: no"), ZeroDivisionError()][len(told) - 1]

    async with open_rig(tmp_path, "", api=FakeUpstream(releases_listed=["1.0.0"])) as rig:
        watch = VersionWatch(rig.catalogue.documents, "api", 600, changed)
        await nursery.start(watch.run)
        await trio.sleep(10)
        rig.api.releases_listed = ["2.0.0", "1.0.0"]
        await trio.sleep(3000)
        assert (told, watch.latest) == (["2.0.0"] * 3, "2.0.0")
