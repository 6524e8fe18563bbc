from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import anyio
import mcp_types as types
import pytest
import trio
import trio.testing
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

from gateway.serving.notify import Notifier
from gateway.watch.changes import Changes
from tests.catalogue.rig import open_rig


class Gone:
    """The session of a client that has closed its end."""

    def __init__(self) -> None:
        self.told = 0

    async def send_tool_list_changed(self) -> None:
        await trio.lowlevel.checkpoint()
        self.told += 1
        raise anyio.ClosedResourceError


OFFERS = """
[tools.t]
description = "d"
strategy = "s"
input.properties.name = { type = "string", default = "" }
fetch = { upstream = "api", path = "x" }
[resources.one]
uri = "x://one"
tool = "t"
[resources.each]
uri = "x://each/{name}"
tool = "t"
"""


def context_of(session: Gone) -> Any:
    return type("Context", (), {"session": session})()


async def test_a_client_that_is_gone_ends_nothing(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery, tmp_path: Path
) -> None:
    """A client that closed its stream just before a change is logged, and the notifier goes on."""
    async with open_rig(tmp_path, "") as rig:
        changes, session = Changes(), Gone()
        notifier = Notifier(changes, rig.catalogue)
        server: Server[Any] = Server("s")
        notifier.remember_client(server)
        assert server.get_request_handler("resources/subscribe") is None  # there is nothing to subscribe to
        entry = server.get_notification_handler("notifications/initialized")
        assert entry is not None
        await entry.handler(context_of(session), cast("Any", None))
        await nursery.start(notifier.run)
        for told in (1, 2):
            changes.announce("api")
            await trio.testing.wait_all_tasks_blocked()
            assert session.told == told


async def test_what_can_be_subscribed_to(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Resources of the profile, at most a thousand; what nobody can tell of is refused with a sentence."""
    async with open_rig(tmp_path, OFFERS) as rig:
        notifier = Notifier(Changes(), rig.catalogue)

        async def subscribe(uri: str) -> None:
            await notifier.subscribe(None, types.SubscribeRequestParams(uri=uri))

        with pytest.raises(MCPError, match="Nothing is told of this resource: x://two"):
            await subscribe("x://two")
        for number in range(1000):
            await subscribe(f"x://each/{number}")
        await subscribe("x://each/7")
        with pytest.raises(MCPError, match="A client may subscribe to 1000 resources at most"):
            await subscribe("x://one")
        await notifier.unsubscribe(None, types.UnsubscribeRequestParams(uri="x://each/7"))
        await notifier.unsubscribe(None, types.UnsubscribeRequestParams(uri="x://each/7"))
        await subscribe("x://one")
