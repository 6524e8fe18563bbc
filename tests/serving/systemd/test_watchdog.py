from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import structlog
import trio

from gateway.serving.admission import own_credential
from gateway.serving.systemd.supervisor import Supervisor
from gateway.serving.systemd.watchdog import Watchdog
from tests.fakes.http_server import HttpServer, Request, Script, answer, reset, silent
from tests.fakes.systemd import Manager

GOOD = answer(b"{}")


@asynccontextmanager
async def watched(
    manager: Manager, *scripts: Script, within: float = 0.4, stopped: bool = False
) -> AsyncIterator[HttpServer]:
    """A watchdog that asks a server with these answers."""
    server, stop = HttpServer(), trio.Event()
    server.on("/mcp", *scripts)
    if stopped:
        stop.set()
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        address = server.url.removeprefix("http://")
        await nursery.start(Watchdog(Supervisor(manager.address, within), within, address, "/mcp", stop).run)
        yield server
        nursery.cancel_scope.cancel()


async def hear(manager: Manager, count: int) -> None:
    """Wait until the manager has heard that all is well so often."""
    await trio.to_thread.run_sync(partial(manager.wait_for, "WATCHDOG", count))


async def test_while_it_is_answered(tmp_path: Path) -> None:
    """It is told again and again, over one connection, with the process's own credential and a Host that is served."""
    with Manager(tmp_path / "notify") as manager:
        async with watched(manager, GOOD) as server:
            await hear(manager, 4)
            assert server.connections == 1
            (asked,) = {(request.method, request.body) for request in server.requests}
            headers = server.requests[0].headers
    assert asked[0] == "POST"
    assert b'"server/discover"' in asked[1]
    assert (headers["host"], headers["authorization"]) == ("localhost", own_credential().decode())


async def test_only_when_it_is_answered(tmp_path: Path) -> None:
    """No answer, a reset or an error: it asks again, and tells nothing before it is answered."""
    told: list[int] = []
    with Manager(tmp_path / "notify") as manager, structlog.testing.capture_logs() as logs:

        async def answer_at_last(_request: Request, stream: trio.SocketStream) -> None:
            told.append(manager.count("WATCHDOG"))
            await stream.send_all(GOOD)

        async with watched(manager, silent, reset, answer(b"", status="500 No"), answer_at_last, GOOD):
            await hear(manager, 1)
    assert told == [0]
    assert [line["event"] for line in logs] == ["the gateway does not answer itself"] * 3
    assert logs[0]["error"] == "no answer in time"
    assert logs[2]["error"] == "the status 500"


async def test_a_connection_that_was_closed(tmp_path: Path) -> None:
    """Another one is opened, which is no failure: servers close idle connections."""

    async def last(_request: Request, stream: trio.SocketStream) -> None:
        await stream.send_all(GOOD)
        await stream.aclose()

    with Manager(tmp_path / "notify") as manager, structlog.testing.capture_logs() as logs:
        async with watched(manager, last) as server:
            await hear(manager, 3)
            assert server.connections >= 3
    assert logs == []


async def test_a_stop(tmp_path: Path) -> None:
    """From then on the sockets close: nothing is asked, and that the loop turns is told to the end."""
    with Manager(tmp_path / "notify") as manager:
        async with watched(manager, silent, stopped=True) as server:
            await hear(manager, 3)
            assert server.requests == []


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("127.0.0.1:80", "http://127.0.0.1:80/mcp"),
        ("0.0.0.0:80", "http://127.0.0.1:80/mcp"),
        ("[::]:80", "http://[::1]:80/mcp"),
        ("[::1]:80", "http://[::1]:80/mcp"),
        ("unix:/run/s", "http://localhost/mcp"),
    ],
)
def test_whom_it_asks(address: str, url: str) -> None:
    """It is an address that can be connected to, also where the gateway listens on all of them."""
    assert Watchdog(Supervisor(), 1.0, address, "/mcp", trio.Event()).url == url
