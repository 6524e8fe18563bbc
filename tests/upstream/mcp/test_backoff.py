"""How often a server is bothered that does not do as it should; on a clock that stands still unless it is pushed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.testing
from pydantic import TypeAdapter
from trio.testing import MockClock

from gateway.errors import UpstreamUnavailable
from gateway.profile.upstreams.mcp import McpUpstream
from gateway.upstream.mcp.pins_file import PinsFile
from gateway.upstream.mcp.server import McpServer
from tests.fakes.mcp_rig import Child, FakeChannel, tool


class Pauses:
    """Draws the shortest pause each time, and keeps how long it might have been."""

    def __init__(self) -> None:
        self.bounds: list[float] = []

    def __call__(self, low: float, high: float) -> float:
        self.bounds.append(high)
        return low


async def until(condition: Callable[[], bool]) -> None:
    """Wait for another process or thread, in which time stands still."""
    while not condition():
        await trio.lowlevel.checkpoint()


def server_of(child: Child, pauses: Pauses, **more: object) -> McpServer:
    said = {"type": "mcp", "command": json.loads(child.command), "reconnect_delay": "1s", **more}
    section = TypeAdapter(McpUpstream).validate_python(said)
    return McpServer("far", section, PinsFile(str(child.folder), "far"), {}, draw=pauses)


async def call(server: McpServer, name: str) -> None:
    await server.request("tools/call", {"name": name}, FakeChannel(), of=("tools", name))


async def test_pauses_between_sessions_grow(tmp_path: Path, nursery: trio.Nursery, mock_clock: MockClock) -> None:
    """They double up to a bound for as long as sessions end soon; after one that has lasted they begin anew."""
    child, pauses = Child(tmp_path / "far"), Pauses()
    child.lists(tool("die"))
    server = server_of(child, pauses, max_reconnect_delay="3s")
    await nursery.start(server.run)
    for times, bound in enumerate((1.0, 2.0, 3.0, 1.0)):
        await until(lambda: server.connected)
        if bound < max(pauses.bounds, default=0.0):
            mock_clock.jump(3.5)
        with pytest.raises(UpstreamUnavailable, match="Connection closed"):
            await call(server, "die")
        await until(lambda: len(pauses.bounds) > times)  # noqa: B023  # it is over before the next turn
        assert pauses.bounds[-1] == bound
    nursery.cancel_scope.cancel()


async def test_a_program_that_is_never_there(tmp_path: Path, nursery: trio.Nursery, mock_clock: MockClock) -> None:
    """It is tried ever more seldom."""
    child, pauses = Child(tmp_path), Pauses()
    server = server_of(child, pauses, command=["/no/such/program"], max_reconnect_delay="5s")
    await nursery.start(server.run)
    await until(lambda: len(pauses.bounds) >= 5)
    assert pauses.bounds[:5] == [1.0, 2.0, 4.0, 5.0, 5.0]
    nursery.cancel_scope.cancel()


async def test_lists_that_can_not_be_read_again(tmp_path: Path, nursery: trio.Nursery, mock_clock: MockClock) -> None:
    """What was known stays; they are asked for again when they are due, and not before."""
    child = Child(tmp_path / "far")
    child.lists(tool("echo"), capabilities={"tools": {}})
    server = server_of(child, Pauses(), refresh="100s")
    await nursery.start(server.run)
    await until(lambda: server.connected)
    child.lists(*"nonsense", capabilities={"tools": {}})
    await trio.testing.wait_all_tasks_blocked(0.05)
    for times in (2, 3):
        mock_clock.jump(101)
        await until(lambda: child.seen.count("tools/list") == times)  # noqa: B023  # it is over before the next turn
        await trio.testing.wait_all_tasks_blocked(0.05)
        for _ in range(3):
            mock_clock.jump(10)
            await trio.testing.wait_all_tasks_blocked(0.05)
        await call(server, "echo")
        assert child.seen.count("tools/list") == times
        assert [each["name"] for each in server.live.tools] == ["echo"]
    nursery.cancel_scope.cancel()
