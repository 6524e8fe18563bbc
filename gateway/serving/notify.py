"""MCP's change notifications: to listen streams of the modern era, and to the one client of a handshake over stdio."""

from __future__ import annotations

from typing import Any

import mcp_types as types
import structlog
import trio
from mcp.server.lowlevel import Server
from mcp.server.session import ServerSession
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    PromptsListChanged,
    ResourcesListChanged,
    ServerEvent,
    ToolsListChanged,
)

from gateway.watch.changes import Changes

log = structlog.get_logger(__name__)


class Notifier:
    """Passes on what `changes` announces, about tools and, where there are such, resources and prompts.

    A client of the handshake era over HTTP has no stream to be told on.
    """

    def __init__(self, changes: Changes, *, resources: bool = False, prompts: bool = False) -> None:
        self._changes = changes
        self._others: list[ServerEvent] = []
        if resources:
            self._others.append(ResourcesListChanged())
        if prompts:
            self._others.append(PromptsListChanged())
        self._bus = InMemorySubscriptionBus()
        self._session: ServerSession | None = None
        self.listen = ListenHandler(self._bus)

    def remember_client(self, server: Server[Any]) -> None:
        """Keep the session of a client that completes the handshake, where one connection is one client (stdio)."""

        async def initialized(context: Any, _params: types.NotificationParams) -> None:
            self._session = context.session

        server.add_notification_handler("notifications/initialized", types.NotificationParams, initialized)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Notify at every change, until cancelled."""
        with self._changes.subscribe() as changes:
            task_status.started()
            async for _ in changes:
                for event in (ToolsListChanged(), *self._others):
                    await self._bus.publish(event)
                try:
                    if self._session is not None:
                        await self._tell(self._session)
                except Exception as error:  # the client is gone, or the SDK is wrong: neither may end the serving
                    log.warning("a client can't be told of a change", error=f"{type(error).__name__}: {error}")

    async def _tell(self, session: ServerSession) -> None:
        await session.send_tool_list_changed()
        if ResourcesListChanged() in self._others:
            await session.send_resource_list_changed()
        if PromptsListChanged() in self._others:
            await session.send_prompt_list_changed()

    def close(self) -> None:
        """End the listen streams, each with its final answer: a drain would wait for them."""
        self.listen.close()
