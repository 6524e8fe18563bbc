from __future__ import annotations

from typing import Any, cast

import anyio
import trio
import trio.testing
from mcp.server.lowlevel import Server

from gateway.serving.notify import Notifier
from gateway.watch.changes import Changes


class Gone:
    """The session of a client that has closed its end."""

    def __init__(self) -> None:
        self.told = 0

    async def send_tool_list_changed(self) -> None:
        await trio.lowlevel.checkpoint()
        self.told += 1
        raise anyio.ClosedResourceError


async def test_a_client_that_is_gone_ends_nothing(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    """A client that closed its stream just before a change is logged, and the notifier goes on."""
    changes, session = Changes(), Gone()
    notifier = Notifier(changes)
    server: Server[Any] = Server("s")
    notifier.remember_client(server)
    entry = server.get_notification_handler("notifications/initialized")
    assert entry is not None
    await entry.handler(cast("Any", type("Context", (), {"session": session})()), cast("Any", None))
    await nursery.start(notifier.run)
    for told in (1, 2):
        changes.announce()
        await trio.testing.wait_all_tasks_blocked()
        assert session.told == told
