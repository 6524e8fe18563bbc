"""The gateway as an MCP server: the SDK's low-level server over the catalogue, both protocol eras."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any

import mcp_types as types
import orjson
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.requests import Request

from gateway import __version__
from gateway.assembly import Gateway
from gateway.catalogue.federated import Asking
from gateway.errors import GatewayError
from gateway.serving.admission import ANYONE, CLIENT, caller_of
from gateway.serving.direct.introduction import LISTS
from gateway.serving.failures import failure_of
from gateway.serving.sdk.channel import ClientChannel
from gateway.serving.sdk.listings import Listings
from gateway.serving.sdk.notify import Notifier
from gateway.serving.sdk.remembered import remembered_of
from gateway.serving.sdk.spans import RequestSpans

Context = ServerRequestContext[Any, Any]


def build_server(gateway: Gateway, notifier: Notifier, *, remembers: bool) -> GatewayServer:
    """A server of all that the catalogue of `gateway` offers; clients can listen for what `notifier` tells.

    It `remembers` clients of the handshake era where each has a connection or a session: they are told, too.
    """
    section, catalogue = gateway.profile.server, gateway.catalogue
    handlers = _Handlers(gateway)
    server = GatewayServer(
        section.name,
        version=__version__,
        title=section.title or None,
        instructions=section.instructions or None,
        on_subscriptions_listen=notifier.listen,
        get_tool_input_schema=handlers.input_schema,
    )
    server.handlers, server.notifier = handlers, notifier
    if remembers:
        notifier.remember_clients(server)
        server.told = _told(gateway)
    add = server.add_request_handler
    for method, (kind, _) in LISTS.items():
        if catalogue.offers(kind):
            add(method, types.PaginatedRequestParams, handlers.lists)
    add("tools/call", types.CallToolRequestParams, handlers.call_tool)
    if catalogue.offers("resources"):
        add("resources/read", types.ReadResourceRequestParams, handlers.read_resource)
    if catalogue.offers("prompts"):
        add("prompts/get", types.GetPromptRequestParams, handlers.get_prompt)
    if catalogue.completes:
        add("completion/complete", types.CompleteRequestParams, handlers.complete)
    if catalogue.federation.servers:
        add("logging/setLevel", types.SetLevelRequestParams, handlers.set_log_level)
    server.use(gateway)
    return server


class GatewayServer(Server[Any]):
    """Says in the handshake what its clients are told of, also where the SDK asks for the options itself."""

    told = NotificationOptions()
    handlers: _Handlers
    notifier: Notifier

    def use(self, gateway: Gateway) -> None:
        """Answer for another gateway from now on, whose identity is the same."""
        self.middleware[:] = [RequestSpans(gateway.catalogue.labels)]
        self.handlers.use(gateway)
        self.notifier.use(gateway.catalogue)

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        """What the answer to `initialize` is made of."""
        return super().create_initialization_options(
            notification_options or self.told, experimental_capabilities, extensions
        )


def _told(gateway: Gateway) -> NotificationOptions:
    return NotificationOptions(
        tools_changed=True,
        resources_changed=gateway.catalogue.offers("resources"),
        prompts_changed=gateway.catalogue.offers("prompts"),
    )


class _Handlers:
    """One method for each request; every answer is the catalogue's."""

    def __init__(self, gateway: Gateway) -> None:
        self.use(gateway)

    def use(self, gateway: Gateway) -> None:
        """Answer for another gateway from now on; what is under way goes on with the one that it began with."""
        self._catalogue = gateway.catalogue
        self._requests = gateway.watching.requests
        self._listings = Listings(gateway.catalogue, gateway.profile.server.list_ttl)
        self._users = gateway.users

    def input_schema(self, name: str) -> Mapping[str, Any] | None:
        """The JSON Schema of a tool's arguments; None where there is no such tool."""
        return self._catalogue.input_schema(name)

    async def lists(self, context: Context, params: types.PaginatedRequestParams) -> dict[str, Any]:
        """tools/list and the other lists."""
        with _Translated(), self._requests.watching("list", context.method):
            return self._listings.result(context.method, context.protocol_version, params)

    async def call_tool(self, context: Context, params: types.CallToolRequestParams) -> dict[str, Any]:
        """tools/call."""
        asking = self._asking(context)
        name, strategy = self._catalogue.labels.tool(params.name)
        with self._users, _Translated(), self._requests.watching("tool", name, strategy=strategy) as ending:
            result = await self._catalogue.call(
                params.name,
                params.arguments,
                caller=asking.caller,
                meta=asking.meta,
                channel=asking.channel,
                answers=asking.answers,
            )
            ending.outcome = result.outcome
            ending.tier = result.answer.tier if result.answer is not None else ""
        # The SDK drops `resultType` for clients of the handshake era, who do not know it.
        payload = {"resultType": "complete", **orjson.loads(result.payload)}
        if context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            structured = payload.get("structuredContent")
            if structured is not None and not isinstance(structured, dict):
                del payload["structuredContent"]  # this era knows objects only; the content says the same as text
        return payload

    async def read_resource(self, context: Context, params: types.ReadResourceRequestParams) -> dict[str, Any]:
        """resources/read."""
        uri = str(params.uri)
        name = self._catalogue.labels.resource(uri)
        return await self._complete("resource", name, self._catalogue.read(uri, self._asking(context)))

    async def get_prompt(self, context: Context, params: types.GetPromptRequestParams) -> dict[str, Any]:
        """prompts/get."""
        making = self._catalogue.prompt(params.name, params.arguments, self._asking(context))
        return await self._complete("prompt", self._catalogue.labels.prompt(params.name), making)

    async def complete(self, context: Context, params: types.CompleteRequestParams) -> dict[str, Any]:
        """completion/complete."""
        sent = dict(context.params or {})
        rest = {key: sent[key] for key in ("argument", "context") if sent.get(key) is not None}
        return await self._complete(
            "completion", "", self._catalogue.complete(sent["ref"], rest, self._asking(context))
        )

    async def set_log_level(self, context: Context, params: types.SetLevelRequestParams) -> types.EmptyResult:
        """logging/setLevel, of the handshake era."""
        remembered_of(context).log_level = params.level
        return types.EmptyResult()

    def _asking(self, context: Context) -> Asking:
        sent = context.params or {}
        answers = {key: sent[key] for key in ("inputResponses", "requestState") if sent.get(key) is not None}
        channel = ClientChannel(context, remembered_of(context).log_level)
        return Asking(_caller(context.request), channel, sent.get("_meta") or {}, answers)

    async def _complete(self, kind: str, name: str, making: Awaitable[Mapping[str, Any]]) -> dict[str, Any]:
        with self._users, _Translated(), self._requests.watching(kind, name):
            return {"resultType": "complete", **await making}


class _Translated:
    """Turns the gateway's errors into those of the protocol."""

    def __enter__(self) -> None:
        """Nothing is held."""

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if isinstance(error, GatewayError):
            raise MCPError(**failure_of(error).members) from error


def _caller(request: Request | None) -> str:
    """Who asks, for strategies whose answers are private; over stdio, the one client."""
    if request is None:
        return ""
    return caller_of(request.scope.get(CLIENT, ANYONE), request.headers.get("authorization", ""))
