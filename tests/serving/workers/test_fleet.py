"""Purges of all workers, some of which are not there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
import trio
from hypercorn.config import Config
from hypercorn.typing import ASGIFramework
from quart_trio import QuartTrio

from gateway.assembly import Gateway, open_gateway
from gateway.errors import GatewayError, TierError
from gateway.pipeline.invalidation import Selector
from gateway.profile.loader import Loaded, load_profile
from gateway.serving.hypercorn_site import HypercornSite
from gateway.serving.sockets import bind_paths
from gateway.serving.switch import Switch
from gateway.serving.workers.fleet import Fleet
from gateway.serving.workers.place import worker_path
from gateway.serving.workers.routes import own_routes
from tests.fakes.engine import Engine

PROFILE = """
[server]
workers = 2
[cache.disk]
path = "{folder}/cache.db"
[cache.shared]
enabled = {shared}
url = "{url}"
timeout = "5s"
"""


def loaded_of(folder: Path, shared: str = "false", url: str = "redis://127.0.0.1:9/0") -> Loaded:
    (folder / "p.toml").write_text(PROFILE.format(folder=folder, shared=shared, url=url))
    return load_profile("p", environ={}, cwd=folder, folders=[folder])


@asynccontextmanager
async def fleet_of(loaded: Loaded, folder: Path) -> AsyncIterator[Fleet]:
    """A fleet none of whose workers is started."""
    fleet = Fleet(loaded, ["false"], [], str(folder), trio.Event())
    yield fleet
    for worker in fleet.workers:
        await worker.http.aclose()


@asynccontextmanager
async def worker_at(path: str, gateway: Gateway) -> AsyncIterator[None]:
    """What a worker answers its supervisor."""
    site, over = QuartTrio(__name__), trio.Event()
    site.register_blueprint(own_routes(gateway))
    with bind_paths("server.workers", [path], 0o600)[0] as sock:
        async with trio.open_nursery() as nursery:
            serving = HypercornSite(Switch(cast("ASGIFramework", site)), Config(), over)
            await nursery.start(serving.run, [sock])
            yield
            over.set()


async def test_a_purge_that_an_ended_worker_does_not_hear_of_is_no_success(tmp_path: Path) -> None:
    """Once all is to end, who has ended already has in its file what was purged; who asked for it is told."""
    async with fleet_of(loaded_of(tmp_path), tmp_path) as fleet:
        assert await fleet.purge(Selector("all"), soft=False) == 0  # it hears of it before it serves
        fleet._stop.set()
        with pytest.raises(TierError, match="worker 1 has ended, and does not purge its file"):
            await fleet.purge(Selector("all"), soft=False)


async def test_one_that_starts_slowly_is_not_taken_for_hung(tmp_path: Path, autojump_clock: trio.abc.Clock) -> None:
    """Until it has served, a process may take minutes: with many workers on few cores all of them do."""
    stop = trio.Event()
    fleet = Fleet(loaded_of(tmp_path), ["sleep", "1000"], [], str(tmp_path), stop)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fleet.run)
        await trio.sleep(120)
        assert all(worker.pid is not None and not worker.restarts for worker in fleet.workers)
        stop.set()


async def test_a_question_to_all_says_who_does_not_answer(tmp_path: Path) -> None:
    """A worker that has ended without anybody's notice is an error with a sentence, for the admin API to tell."""
    async with fleet_of(loaded_of(tmp_path), tmp_path) as fleet:
        fleet.workers[1].serves = True
        with pytest.raises(GatewayError, match="worker 2 does not answer"):
            await fleet.each("GET", "/api/cache/stats")


async def test_another_worker_tells_the_instances(tmp_path: Path) -> None:
    """The first one, which is to publish a purge, has ended without anybody's notice: the second one does it."""
    with Engine(tmp_path / "engine") as engine:
        loaded = loaded_of(tmp_path, "true", engine.url)
        async with open_gateway(loaded.profile, {}, ahead=False) as gateway, fleet_of(loaded, tmp_path) as fleet:
            async with worker_at(worker_path(str(tmp_path), 2), gateway):
                assert [fleet.greet(number) for number in (1, 2)] == [[], []]
                await fleet.purge(Selector("all"), soft=False)
            assert gateway.watching.telemetry.shared.total("published") == 1
            assert fleet.greet(1) == [(Selector("all"), False)]


async def test_without_a_worker_no_instance_is_told(tmp_path: Path) -> None:
    """A purge that nobody is there to publish is not answered as if it had been."""
    async with fleet_of(loaded_of(tmp_path, "true"), tmp_path) as fleet:
        with pytest.raises(TierError, match="no worker is there to tell other instances"):
            await fleet.purge(Selector("all"), soft=False)
        assert fleet.greet(2) == [(Selector("all"), False)]
