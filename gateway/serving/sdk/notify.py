"""MCP's change notifications: to listen streams of the modern era, and to remembered clients of the handshake era."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

import mcp_types as types
import structlog
import trio
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.session import ServerSession
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    ToolsListChanged,
)
from mcp.shared.exceptions import MCPError

from gateway.catalogue.catalogue import Catalogue
from gateway.serving.sdk.remembered import Clients, Remembered, remembered_of
from gateway.watch.changes import Changes

log = structlog.get_logger(__name__)

_MOST = 1000
"""URIs that one client may subscribe to."""
_PATIENCE = 5.0
"""Seconds that a client may take to read what it is told: further changes wait, for all of them."""

Context = ServerRequestContext[Any, Any]


class Notifier:
    """Passes on what `changes` announces: that lists changed, and subscribed resources of the profile.

    A client of the handshake era over HTTP has a stream to be told on only where it has a session.
    """

    def __init__(self, changes: Changes, catalogue: Catalogue) -> None:
        self._changes = changes
        self._resources = catalogue.resources
        self._events: list[ServerEvent] = [ToolsListChanged()]
        if catalogue.offers("resources"):
            self._events.append(ResourcesListChanged())
        if catalogue.offers("prompts"):
            self._events.append(PromptsListChanged())
        self._bus = InMemorySubscriptionBus()
        self._clients = Clients()
        self._listened = Counter[str]()
        """What listen streams have subscribed to, and how many of them."""
        self._handler = ListenHandler(self._bus)
        self._closed = False

    def use(self, catalogue: Catalogue) -> None:
        """Read another catalogue from now on, which offers the same kinds of things."""
        self._resources = catalogue.resources

    def remember_clients(self, server: Server[Any]) -> None:
        """Keep clients that complete the handshake until they end, where they are connected or have sessions."""

        async def initialized(context: Context, _params: types.NotificationParams) -> None:
            self._clients.add(context)

        server.add_notification_handler("notifications/initialized", types.NotificationParams, initialized)
        if self._resources.any:
            server.add_request_handler("resources/subscribe", types.SubscribeRequestParams, self.subscribe)
            server.add_request_handler("resources/unsubscribe", types.UnsubscribeRequestParams, self.unsubscribe)

    async def subscribe(self, context: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        """resources/subscribe, of the handshake era; raises MCPError."""
        uri = str(params.uri)
        subscribed = remembered_of(context).subscribed
        if not self._resources.has(uri):
            raise MCPError(code=types.INVALID_PARAMS, message=f"Nothing is told of this resource: {uri[:200]}")
        if len(subscribed) >= _MOST and uri not in subscribed:
            raise MCPError(code=types.INVALID_PARAMS, message=f"A client may subscribe to {_MOST} resources at most")
        subscribed[uri] = None
        return types.EmptyResult()

    async def unsubscribe(self, context: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        """resources/unsubscribe, of the handshake era."""
        remembered_of(context).subscribed.pop(str(params.uri), None)
        return types.EmptyResult()

    async def listen(self, context: Any, params: types.SubscriptionsListenRequestParams) -> Any:
        """subscriptions/listen, of the modern era: a stream until its client goes, or until `close`."""
        if self._closed:  # it would be a stream that nobody ends
            raise MCPError(code=types.INTERNAL_ERROR, message="This server is about to end: listen again")
        uris = set(params.notifications.resource_subscriptions or ())
        if len(uris) > _MOST:
            raise MCPError(code=types.INVALID_PARAMS, message=f"A stream may subscribe to {_MOST} resources at most")
        self._listened.update(uris)
        try:
            return await self._handler(context, params)
        finally:
            self._listened -= Counter(uris)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Notify at every change, until cancelled."""
        with self._changes.subscribe() as changes:
            task_status.started()
            while True:
                upstreams = await changes.wait_changed()
                for event in (*self._events, *map(ResourceUpdated, self._updated(self._listened, upstreams))):
                    await self._bus.publish(event)
                async with trio.open_nursery() as nursery:
                    for session, remembered in self._clients:
                        nursery.start_soon(self._tell, session, remembered, upstreams)

    def _updated(self, subscribed: Collection[str], upstreams: Collection[str]) -> list[str]:
        """The subscribed resources that are made of documents of these upstreams."""
        return [uri for uri in subscribed if self._resources.depends(uri, upstreams)]

    async def _tell(self, session: ServerSession, remembered: Remembered, upstreams: Collection[str]) -> None:
        """Tell one client; that it can't be told, or is too slow, is no other's concern."""
        updated = self._updated(remembered.subscribed, upstreams)
        try:
            with trio.fail_after(_PATIENCE):
                await session.send_tool_list_changed()
                if ResourcesListChanged() in self._events:
                    await session.send_resource_list_changed()
                if PromptsListChanged() in self._events:
                    await session.send_prompt_list_changed()
                for uri in updated:
                    await session.send_resource_updated(uri)
        except Exception as error:  # it is gone, or late, or the SDK is wrong: nothing of it may end the serving
            log.warning("a client can't be told of a change", error=f"{type(error).__name__}: {error}")

    def close(self) -> None:
        """End the listen streams, each with its final answer, and take no more: a drain would wait for them."""
        self._closed = True
        self._handler.close()
