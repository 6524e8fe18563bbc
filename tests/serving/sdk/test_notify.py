from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import anyio
import mcp_types as types
import pytest
import trio
import trio.testing
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.session import ServerSession
from mcp.shared.exceptions import MCPError

from gateway.serving.sdk.notify import Notifier
from gateway.watch.changes import Changes
from tests.catalogue.rig import open_rig


class Gone:
    """The way to a client that has closed its end."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def notify(self, method: str, _params: Any, _opts: Any = None) -> None:
        await trio.lowlevel.checkpoint()
        self.told.append(method)
        raise anyio.ClosedResourceError


class Stuck(Gone):
    """The way to a client that reads nothing."""

    async def notify(self, method: str, _params: Any, _opts: Any = None) -> None:
        self.told.append(method)
        await trio.sleep_forever()


class Reading(Gone):
    """The way to a client that reads."""

    async def notify(self, method: str, params: Any, _opts: Any = None) -> None:
        await trio.lowlevel.checkpoint()
        self.told.append(params["uri"] if params else method)


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


class Client:
    """A client as the SDK knows it: a connection, and the context of a request on it."""

    def __init__(self, outbound: Gone) -> None:
        self.connection = Connection.for_loop(cast("Any", outbound))
        self.context: ServerRequestContext[Any, Any] = ServerRequestContext(
            session=ServerSession(cast("Any", None), self.connection),
            lifespan_context=None,
            protocol_version="2025-11-25",
            method="",
        )

    async def completes_the_handshake(self, server: Server[Any]) -> None:
        entry = server.get_notification_handler("notifications/initialized")
        assert entry is not None
        await entry.handler(self.context, cast("Any", None))


async def test_a_client_that_is_gone_ends_nothing(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery, tmp_path: Path
) -> None:
    """A client that closed its stream just before a change is logged, and the notifier goes on."""
    async with open_rig(tmp_path, "") as rig:
        changes, gone = Changes(), Gone()
        notifier = Notifier(changes, rig.catalogue)
        server: Server[Any] = Server("s")
        notifier.remember_clients(server)
        assert server.get_request_handler("resources/subscribe") is None  # there is nothing to subscribe to
        await Client(gone).completes_the_handshake(server)
        await nursery.start(notifier.run)
        for told in (1, 2):
            changes.announce("api")
            await trio.testing.wait_all_tasks_blocked()
            assert len(gone.told) == told


async def test_each_client_is_told_of_its_own(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery, tmp_path: Path
) -> None:
    """Each of its own subscriptions, whoever else does not read; one whose connection has ended is forgotten."""
    async with open_rig(tmp_path, OFFERS) as rig:
        changes, ways = Changes(), (Reading(), Stuck(), Reading())
        one, stuck, other = clients = [Client(way) for way in ways]
        notifier = Notifier(changes, rig.catalogue)
        server: Server[Any] = Server("s")
        notifier.remember_clients(server)
        for client in (*clients, one):  # one says it twice
            await client.completes_the_handshake(server)
        await notifier.subscribe(one.context, types.SubscribeRequestParams(uri="x://one"))
        await notifier.subscribe(other.context, types.SubscribeRequestParams(uri="x://each/2"))
        await nursery.start(notifier.run)
        changes.announce("api")
        await trio.testing.wait_all_tasks_blocked()
        lists = ["notifications/tools/list_changed", "notifications/resources/list_changed"]
        assert [way.told for way in ways] == [[*lists, "x://one"], lists[:1], [*lists, "x://each/2"]]
        for client in (stuck, other):
            await client.connection.exit_stack.aclose()
        changes.announce("api")
        await trio.sleep(60)
        assert [way.told for way in ways] == [[*lists, "x://one"] * 2, lists[:1], [*lists, "x://each/2"]]


async def test_what_can_be_subscribed_to(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Resources of the profile, at most a thousand each; what nobody can tell of is refused with a sentence."""
    async with open_rig(tmp_path, OFFERS) as rig:
        notifier, client = Notifier(Changes(), rig.catalogue), Client(Reading())

        async def subscribe(uri: str, context: ServerRequestContext[Any, Any] = client.context) -> None:
            await notifier.subscribe(context, types.SubscribeRequestParams(uri=uri))

        with pytest.raises(MCPError, match="Nothing is told of this resource: x://two"):
            await subscribe("x://two")
        for number in range(1000):
            await subscribe(f"x://each/{number}")
        await subscribe("x://each/7")
        with pytest.raises(MCPError, match="A client may subscribe to 1000 resources at most"):
            await subscribe("x://one")
        await subscribe("x://one", Client(Reading()).context)
        for _ in range(2):
            await notifier.unsubscribe(client.context, types.UnsubscribeRequestParams(uri="x://each/7"))
        await subscribe("x://one")
