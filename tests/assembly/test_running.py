from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
import trio
import trio.testing

from gateway.assembly import Gateway
from gateway.assembly.running import Commit, Running, open_running
from gateway.errors import GatewayError, StartError
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Status
from gateway.profile.loader import Loaded, load_profile
from tests.fakes.http_server import HttpServer, Request, answer
from tests.fakes.mcp_rig import Child, tool, upstream

PROFILE = """
[server]
drain_timeout = "10s"
[cache.memory]
max_size = "{memory}"
algorithm = "{algorithm}"
[cache.disk]
enabled = {disk}
path = "{folder}/{file}.db"
[strategies.s]
ttl = "1h"
[upstreams.api]
type = "http"
base_url = "{url}"
private_addresses = true
timeout = "{timeout}"
[tools.get]
description = "{about}"
strategy = "s"
annotations = {{ read_only = {read_only} }}
[tools.get.input.properties]
id = {{ type = "string", default = "1" }}
[tools.get.fetch]
upstream = "api"
path = "{path}{{id}}"
"""


@dataclass
class Rig:
    folder: Path
    url: str

    def loaded(self, more: str = "", **changes: str) -> Loaded:
        """The profile, with some values of its own."""
        values = {
            "memory": "1MB",
            "algorithm": "lru",
            "disk": "true",
            "file": "cache",
            "timeout": "10s",
            "about": "a tool",
            "path": "items/",
            "read_only": "true",
            **changes,
        }
        path = self.folder / "p.toml"
        path.write_text(PROFILE.format(folder=self.folder, url=self.url, **values) + more)
        return load_profile(str(path), environ={}, cwd=self.folder, folders=[self.folder])


@asynccontextmanager
async def opened(folder: Path, more: str = "", **changes: str) -> AsyncIterator[tuple[Running, Rig, HttpServer]]:
    """A gateway in front of a server that answers everything."""
    server = HttpServer()
    server.script_for = lambda request: answer(orjson.dumps({"was": request.target}))  # type: ignore[method-assign]
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        rig = Rig(folder, server.url)
        async with open_running(rig.loaded(more, **changes), {}) as running:
            yield running, rig, server
        nursery.cancel_scope.cancel()


async def called(gateway: Gateway, name: str = "get", **arguments: Any) -> tuple[str, Any]:
    """Where an answer came from, and the answer."""
    result = await gateway.catalogue.call(name, arguments)
    assert not result.is_error, result.payload
    assert result.answer is not None
    source = result.answer.tier if result.answer.status is Status.HIT else result.answer.status.value
    return source, orjson.loads(result.payload)["structuredContent"]


async def test_what_did_not_change_goes_on(tmp_path: Path) -> None:
    """Entries, the pipeline, the disk tier and the connections of an upstream are the same after a reload."""
    async with opened(tmp_path) as (running, rig, server):
        before = running.gateway
        assert await called(before) == ("miss", {"was": "/items/1"})
        await running.replace(rig.loaded(about="other words"))
        after = running.gateway
        assert after is not before
        assert after.catalogue.definitions[0]["description"] == "other words"
        assert (await called(after))[0] == "memory"
        assert after.memory is before.memory
        assert after.disk is before.disk
        api = after.catalogue.documents.upstreams["api"]
        assert api is before.catalogue.documents.upstreams["api"]
        await called(after, id="2")
        assert (len(server.requests), server.connections) == (2, 1)
        assert after.watching.series is before.watching.series
        assert after.watching.alerting is before.watching.alerting


async def test_what_changed_is_opened_anew(tmp_path: Path) -> None:
    """An upstream whose section differs is another one; an answer that is declared otherwise is made anew."""
    async with opened(tmp_path) as (running, rig, server):
        before = running.gateway
        await called(before)
        await running.replace(rig.loaded(timeout="20s", path="others/"))
        assert await called(running.gateway) == ("miss", {"was": "/others/1"})
        upstreams = [each.catalogue.documents.upstreams["api"] for each in (before, running.gateway)]
        assert upstreams[0] is not upstreams[1]
        assert server.connections == 2


async def test_limits_are_taken_while_in_use(tmp_path: Path) -> None:
    """A smaller memory tier gives entries up, and keeps the others; the disk tier has them all."""
    async with opened(tmp_path) as (running, rig, _):
        for number in range(20):
            await called(running.gateway, id=str(number))
        await running.replace(rig.loaded(memory="10KB"))
        memory = running.gateway.memory
        assert memory is not None
        assert 0 < len(memory) < 20
        assert memory.statistics().size <= 10_000
        assert running.gateway.watching.gauges.tiers()["memory"].limit == 10_000
        sources = [(await called(running.gateway, id=str(number)))[0] for number in range(20)]
        assert set(sources) <= {"memory", "disk"}


async def test_another_algorithm_keeps_the_entries(tmp_path: Path) -> None:
    """A tier that has to be built anew takes over what the one before it had."""
    async with opened(tmp_path, disk="false") as (running, rig, _):
        await called(running.gateway)
        before = running.gateway.memory
        await running.replace(rig.loaded(disk="false", algorithm="adaptive"))
        assert running.gateway.memory is not before
        assert (await called(running.gateway))[0] == "memory"


async def test_another_file_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    """The disk tier moves, is turned off and on again; the file that it leaves can be opened by others."""
    async with opened(tmp_path) as (running, rig, _):
        await called(running.gateway)
        await running.replace(rig.loaded(file="other"))
        assert (tmp_path / "other.db").exists()
        await running.replace(rig.loaded(disk="false", file="other"))
        without = running.gateway
        await running.replace(rig.loaded())
        assert (without.tiers, running.gateway.tiers) == (("memory",), ("memory", "disk"))
        assert running.gateway.memory is not None
        running.gateway.memory.purge(Selector("all"))
        assert (await called(running.gateway))[0] == "disk"


async def test_a_reload_that_fails_changes_nothing(tmp_path: Path) -> None:
    """What can't be opened, or not be served, leaves everything as it was, with nothing left open."""
    async with opened(tmp_path) as (running, rig, server):
        before = running.gateway
        await called(before)
        (tmp_path / "file").write_text("")
        with pytest.raises(GatewayError, match="can't use"):
            await running.replace(rig.loaded(file="file/below", timeout="20s"))
        assert running.gateway is before

        async def refuse(_: Gateway) -> Commit:
            raise StartError("server.bind: can't listen")

        running.prepare = refuse
        with pytest.raises(GatewayError, match="can't listen"):
            await running.replace(rig.loaded(timeout="20s", memory="10KB"))
        assert running.gateway is before
        assert (await called(before))[0] == "memory"
        assert before.watching.gauges.tiers()["memory"].limit == 1_000_000
        await called(before, id="2")
        assert server.connections == 1


@pytest.mark.parametrize("read_only", ["true", "false"])
async def test_what_is_under_way_is_finished(read_only: str, tmp_path: Path) -> None:
    """A call that waits for an upstream which the reload replaces gets its answer; the upstream is closed after it."""
    async with opened(tmp_path, read_only=read_only) as (running, rig, server):
        asked, go_on = trio.Event(), trio.Event()

        async def late(request: Request, stream: trio.SocketStream) -> None:
            asked.set()
            await go_on.wait()
            await stream.send_all(answer(b'{"was": "late"}'))

        server.scripts["/items/1"] = [late]
        server.script_for = lambda request: server.scripts[request.target][0]  # type: ignore[method-assign]
        gateway, found = running.gateway, []

        async def call() -> None:
            with gateway.users:
                found.append((await called(gateway))[1])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call)
            await asked.wait()
            await running.replace(rig.loaded(timeout="20s", read_only=read_only))
            assert not server.closed.is_set()
            go_on.set()
        assert found == [{"was": "late"}]
        with trio.fail_after(20):
            await server.closed.wait()


async def test_a_server_that_did_not_change_keeps_its_process(tmp_path: Path) -> None:
    """An MCP server is asked for its lists once, over reloads; one that left the profile is ended."""
    child = Child(tmp_path / "child")
    child.lists(tool("far", read_only=True))
    more = f'[federation]\npins = "{tmp_path / "pins"}"\n{upstream(child)}'
    async with opened(tmp_path, more) as (running, rig, _):
        names = [each["name"] for each in running.gateway.catalogue.definitions]
        assert names == ["get", "far_far"]
        started = len([line for line in child.seen if line.startswith("initialize")])
        await running.replace(rig.loaded(more, about="other words"))
        assert [each["name"] for each in running.gateway.catalogue.definitions] == names
        assert len([line for line in child.seen if line.startswith("initialize")]) == started
        await running.replace(rig.loaded(about="other words"))
        assert [each["name"] for each in running.gateway.catalogue.definitions] == ["get"]


async def test_a_reload_under_way_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """What is ready to take over when all ends already does not, and is closed."""
    async with trio.open_nursery() as nursery:
        async with opened(tmp_path) as (running, rig, _):
            ready, ends = trio.Event(), trio.Event()

            async def prepare(_: Gateway) -> Commit:
                ready.set()
                await ends.wait()
                return lambda: None

            async def replace() -> None:
                with pytest.raises(StartError, match="the gateway is stopping"):
                    await running.replace(rig.loaded(about="other words"))

            async def let_it() -> None:
                await trio.testing.wait_all_tasks_blocked(0.1)
                ends.set()

            running.prepare = prepare
            nursery.start_soon(replace)
            await ready.wait()
            nursery.start_soon(let_it)
        assert running.gateway.catalogue.definitions[0]["description"] == "a tool"
