"""An MCP server of 2026 over streamable HTTP, in this process: the SDK's own, with what a test puts in its way."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import mcp_types as types
import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from hypercorn.typing import ASGIFramework
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged

NEEDS = {
    "method": "elicitation/create",
    "params": {"mode": "form", "message": "Who are you?", "requestedSchema": {"type": "object", "properties": {}}},
}
"""What the tool `needy` wants to know first, unless a test has something else."""


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"resultType": "complete", "content": [{"type": "text", "text": said}], **more}


@dataclass
class ModernServer:
    """Lists and answers what a test says, and keeps what it was asked."""

    tools: list[dict[str, Any]] = field(default_factory=list)
    ttl_ms: int = 60_000
    scope: str = "public"
    read: dict[str, Any] = field(default_factory=lambda: {"ttlMs": 60_000, "cacheScope": "public"})
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Each request's method and parameters."""
    needs: dict[str, Any] = field(default_factory=lambda: NEEDS)
    """What the tool `needy` wants to know."""
    url: str = ""
    listening: trio.Event = field(default_factory=trio.Event)
    """Set when a client listens for changes."""
    resources: list[dict[str, Any]] = field(default_factory=lambda: [{"uri": "x://a", "name": "a"}])

    def __post_init__(self) -> None:
        self._bus = InMemorySubscriptionBus()
        self._scope = trio.CancelScope()

    def calls(self, name: str) -> list[dict[str, Any]]:
        """The parameters of each call of a tool."""
        return [params for method, params in self.asked if method == "tools/call" and params["name"] == name]

    async def tell(self) -> None:
        """Say that the tools have changed."""
        await self._bus.publish(ToolsListChanged())

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve on a free port until cancelled."""
        manager = StreamableHTTPSessionManager(self._server(), stateless=True)
        config = Config()
        config.bind = ["127.0.0.1:0"]
        config.graceful_timeout = 0.1
        config.errorlog = config.accesslog = None
        with self._scope:
            await self._run(manager, config, task_status)

    def stop(self) -> None:
        """Stop serving: connections are closed, and new ones are refused."""
        self._scope.cancel()

    async def _run(
        self, manager: StreamableHTTPSessionManager, config: Config, task_status: trio.TaskStatus[None]
    ) -> None:
        async with manager.run(), trio.open_nursery() as nursery:
            app = cast("ASGIFramework", manager.asgi_app)
            run = partial(serve, app, config, mode="asgi", shutdown_trigger=trio.sleep_forever)
            (address,) = await nursery.start(run)
            self.url = f"{address}/mcp"
            task_status.started()
            await trio.sleep_forever()

    def _server(self) -> Server[Any]:
        listen = ListenHandler(self._bus)

        async def listened(context: Any, params: types.SubscriptionsListenRequestParams) -> Any:
            self.listening.set()
            return await listen(context, params)

        server: Server[Any] = Server("modern", version="1", on_subscriptions_listen=listened)
        add = server.add_request_handler
        add("tools/list", types.PaginatedRequestParams, self._list_tools)
        add("tools/call", types.CallToolRequestParams, self._call)
        add("resources/list", types.PaginatedRequestParams, self._list_resources)
        add("resources/read", types.ReadResourceRequestParams, self._read)
        return server

    def _see(self, context: Any) -> None:
        self.asked.append((context.method, dict(context.params or {})))

    async def _list_tools(self, context: Any, _params: Any) -> dict[str, Any]:
        self._see(context)
        return {"resultType": "complete", "tools": self.tools, "ttlMs": self.ttl_ms, "cacheScope": self.scope}

    async def _list_resources(self, context: Any, _params: Any) -> dict[str, Any]:
        self._see(context)
        return {"resultType": "complete", "resources": self.resources, "ttlMs": 90_000, "cacheScope": "public"}

    async def _read(self, context: Any, params: types.ReadResourceRequestParams) -> dict[str, Any]:
        self._see(context)
        times = len([1 for method, _ in self.asked if method == "resources/read"])
        contents = [{"uri": params.uri, "text": f"reading {times}"}]
        return {"resultType": "complete", "contents": contents, **self.read}

    async def _call(self, context: Any, params: types.CallToolRequestParams) -> dict[str, Any]:
        self._see(context)
        sent = context.params
        if params.name == "needy" and "inputResponses" not in sent:
            return {"resultType": "input_required", "inputRequests": {"who": self.needs}, "requestState": "step.1"}
        if params.name == "needy":
            answer = sent["inputResponses"]["who"]
            said = answer["roots"][0]["uri"] if "roots" in answer else answer["content"]["name"]
            return text(f"{said} {sent['requestState']}")
        if params.name == "number":
            return {**text("42"), "structuredContent": 42}
        return text(f"{params.name} {len(self.calls(params.name))}", _meta={"theirs": 1})
