"""One session with an MCP server, in either era: the SDK negotiates, requests and answers are passed on as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import mcp_types as types
import structlog
import trio
from mcp.client.session import ClientRequestContext, ClientSession
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost, listen
from mcp.shared.dispatcher import CallOptions
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import (
    MCP_METHOD_HEADER,
    MCP_NAME_HEADER,
    MCP_PROTOCOL_VERSION_HEADER,
    NAME_BEARING_METHODS,
    encode_header_value,
    find_invalid_x_mcp_header,
    mcp_param_headers,
    x_mcp_header_map,
)
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel, ValidationError

from gateway import __version__
from gateway.errors import UpstreamError
from gateway.printable import printable
from gateway.profile.upstreams.mcp import McpUpstream
from gateway.upstream.mcp.failures import checked, translated
from gateway.upstream.mcp.lists import read_lists
from gateway.upstream.mcp.model import NOBODY, UNAVAILABLE, Channel, Definitions, Json

log = structlog.get_logger(__name__)

CLIENT = types.Implementation(name="gateway", version=__version__)

_LIST_CHANGED = (
    types.ToolListChangedNotification,
    types.PromptListChangedNotification,
    types.ResourceListChangedNotification,
)


class Session:
    """What can be done with a server while the session lasts. Safe for concurrent use once `negotiate` is through."""

    def __init__(self, name: str, section: McpUpstream, streams: tuple[Any, Any], ask: Ask) -> None:
        self._name = name
        self._section = section
        self._ask = ask
        self._dispatcher: JSONRPCDispatcher[Any] = JSONRPCDispatcher(*streams)
        features = section.client_features
        self.client = ClientSession(
            dispatcher=self._dispatcher,
            client_info=CLIENT,
            elicitation_callback=self._elicit if "elicitation" in features else None,
            sampling_callback=self._sample if "sampling" in features else None,
            logging_callback=self._logged,
            message_handler=self._notified,
        )
        self.changed = trio.Event()
        """Set when the server says that a list has changed; whoever reads the lists again takes a new one."""
        self._headers: dict[str, dict[tuple[str, ...], str]] = {}
        self.under_way: list[Channel] = []
        """The channels of the requests of clients that are under way."""

    @property
    def modern(self) -> bool:
        """Whether the server speaks a revision from 2026 on: no session, and no requests of its own."""
        return self.client.protocol_version in MODERN_PROTOCOL_VERSIONS

    @property
    def capabilities(self) -> types.ServerCapabilities:
        """What the server says that it can do."""
        return self.client.server_capabilities or types.ServerCapabilities()

    async def negotiate(self) -> None:
        """Agree on a revision. Raises UpstreamError."""
        with translated(self._name, "initialize", self._section.max_response_size):
            if self._section.era == "auto" and await self._discovered():
                return
            await self.client.initialize()
        if self.capabilities.logging is not None:
            with suppress(UpstreamError):  # it speaks of a capability that it does not have: no log messages then
                await self.request("logging/setLevel", {"level": self._section.log_level}, NOBODY)

    async def _discovered(self) -> bool:
        """Whether the server answers the question of the modern era; an answer that makes no sense is none."""
        try:
            await self.client.discover()
        except MCPError as error:
            if error.code == UNAVAILABLE:
                raise
            return False
        except (ValidationError, RuntimeError):
            return False
        return True

    async def request(self, method: str, params: Mapping[str, Any], channel: Channel) -> Json:
        """The server's result, as it is; raises UpstreamError.

        Cancelling tells the server so. What it sends on the way (progress, log messages, questions) goes to `channel`.
        """
        options: CallOptions = {"on_progress": channel.progress}
        sent = self._stamped(method, params, channel, options)
        own = [channel] if channel is not NOBODY else []
        self.under_way += own
        try:
            with translated(self._name, method, self._section.max_response_size):
                result = await self._dispatcher.send_raw_request(method, sent, options)
        finally:
            for each in own:
                self.under_way.remove(each)
        return checked(self._name, method, self.client.protocol_version or types.LATEST_PROTOCOL_VERSION, result)

    async def definitions(self) -> Definitions:
        """Everything that the profile wants of what the server lists; raises UpstreamError."""
        own = partial(self.request, channel=NOBODY)
        found = await read_lists(self._name, self._section, self.capabilities, own, hints=self.modern)
        return replace(found, tools=self._with_headers(found.tools)) if self.modern else found

    def tells_of_changes(self) -> bool:
        """Whether the server says that it tells of changes to every list that it has."""
        has = self.capabilities
        lists = [each for each in (has.tools, has.resources, has.prompts) if each is not None]
        return all(each.list_changed for each in lists)

    async def listen(self) -> None:
        """Hear of changes in the modern era, where they are told to who asks for them; ends when the server does so."""
        if not self.modern or not self.tells_of_changes():
            return
        with suppress(MCPError, SubscriptionLost, ListenNotSupportedError):
            async with listen(
                self.client, tools_list_changed=True, prompts_list_changed=True, resources_list_changed=True
            ) as changes:
                async for _ in changes:
                    self.changed.set()

    async def ping(self) -> None:
        """Whether the server still answers anything at all: raises UpstreamError, or waits."""
        await self.request("server/discover" if self.modern else "ping", {}, NOBODY)

    def _with_headers(self, tools: tuple[Json, ...]) -> tuple[Json, ...]:
        """The tools whose `x-mcp-header` annotations are valid; a client has to leave the others out (2026-07-28)."""
        self._headers = {}
        kept = []
        for tool in tools:
            reason = find_invalid_x_mcp_header(tool["inputSchema"])
            if reason is not None:
                log.warning("a tool is left out", upstream=self._name, tool=tool["name"], reason=reason)
                continue
            self._headers[tool["name"]] = x_mcp_header_map(tool["inputSchema"])
            kept.append(tool)
        return tuple(kept)

    def _stamped(
        self, method: str, params: Mapping[str, Any], channel: Channel, options: CallOptions
    ) -> dict[str, Any]:
        """The parameters with what every request of the negotiated revision carries; its headers go into `options`."""
        version = self.client.protocol_version or types.LATEST_PROTOCOL_VERSION
        headers = {MCP_PROTOCOL_VERSION_HEADER: version}
        options["headers"] = headers
        if not self.modern:
            return dict(params)
        meta = {
            **params.get("_meta", {}),
            types.PROTOCOL_VERSION_META_KEY: version,
            types.CLIENT_INFO_META_KEY: CLIENT.model_dump(by_alias=True, mode="json", exclude_none=True),
            types.CLIENT_CAPABILITIES_META_KEY: self._passed_on(channel),
        }
        if channel.log_level is not None:
            meta[types.LOG_LEVEL_META_KEY] = channel.log_level
        headers[MCP_METHOD_HEADER] = method
        named = params.get(NAME_BEARING_METHODS.get(method, ""))
        if isinstance(named, str):
            headers[MCP_NAME_HEADER] = encode_header_value(named)
        if method == "tools/call":
            headers.update(mcp_param_headers(self._headers.get(params["name"], {}), params.get("arguments") or {}))
        return {**params, "_meta": meta}

    def _passed_on(self, channel: Channel) -> Json:
        """Of the client's capabilities those that the profile passes on."""
        if channel.answers in ("never", "elsewhere"):
            return {}
        return {key: channel.capabilities[key] for key in self._section.client_features if key in channel.capabilities}

    async def _elicit(
        self, context: ClientRequestContext, params: types.ElicitRequestParams
    ) -> types.ElicitResult | types.ErrorData:
        answer: types.ElicitResult | types.ErrorData = await self._asked(
            "elicitation/create", params, types.ElicitResult
        )
        return answer

    async def _sample(
        self, context: ClientRequestContext, params: types.CreateMessageRequestParams
    ) -> types.CreateMessageResultWithTools | types.CreateMessageResult | types.ErrorData:
        result = types.CreateMessageResultWithTools if params.tools else types.CreateMessageResult
        answer: types.CreateMessageResult | types.ErrorData = await self._asked(
            "sampling/createMessage", params, result
        )
        return answer

    async def _asked(self, method: str, params: BaseModel, result: Any) -> Any:
        """What the one client says whose request is under way; with several nobody knows whom the server means."""
        channels = self.under_way
        if len(channels) != 1:
            why = "several requests are under way, and the question belongs to none" if channels else "nobody asked"
            return types.ErrorData(code=types.INVALID_REQUEST, message=f"no client can be asked: {why}")
        sent = params.model_dump(by_alias=True, mode="json", exclude_none=True)
        try:
            return result.model_validate(await self._ask(channels[0], method, sent), by_name=False)
        except (UpstreamError, MCPError, ValidationError) as error:
            return types.ErrorData(code=types.INVALID_REQUEST, message=f"the client gave no answer: {error}")

    async def _logged(self, params: types.LoggingMessageNotificationParams) -> None:
        """Pass a log message on to the one client that it can be meant for."""
        sent = params.model_dump(by_alias=True, mode="json", exclude_none=True)
        if len(self.under_way) == 1:
            await self.under_way[0].log(sent)
        else:
            log.debug(
                "an MCP server logs", upstream=self._name, level=params.level, data=printable(str(params.data), 500)
            )

    async def _notified(self, message: types.ServerNotification | Exception) -> None:
        if isinstance(message, _LIST_CHANGED):
            self.changed.set()
        await trio.lowlevel.checkpoint()


Ask = Callable[[Channel, str, Json], Any]
"""How a client is asked: what it answers, for its channel, the method and the parameters."""
