"""The way back to a client whose request is under way: progress, log messages, questions."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, assert_never

import anyio
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from gateway.errors import UpstreamRejected
from gateway.upstream.mcp.model import Answers, Json

_LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
_Request = types.ElicitRequest | types.CreateMessageRequest | types.ListRootsRequest
_REQUESTS: dict[str, type[_Request]] = {
    "elicitation/create": types.ElicitRequest,
    "sampling/createMessage": types.CreateMessageRequest,
    "roots/list": types.ListRootsRequest,
}


class ClientChannel:
    """A client by the context of its request, in either era."""

    def __init__(self, context: ServerRequestContext[Any, Any], log_level: str | None) -> None:
        self._session = context.session
        self._request_id = context.request_id
        modern = context.protocol_version in MODERN_PROTOCOL_VERSIONS
        capabilities = context.session.client_capabilities
        self._capabilities: Json = (
            capabilities.model_dump(by_alias=True, mode="json", exclude_none=True) if capabilities is not None else {}
        )
        wanted = (context.meta or {}).get(types.LOG_LEVEL_META_KEY) if modern else log_level
        self._log_level = wanted if isinstance(wanted, str) else None
        self._answers: Answers = "never"
        if modern:
            self._answers = "in a new request"
        elif context.session.can_send_request:
            self._answers = "at once"

    @property
    def answers(self) -> Answers:
        """How the client can be asked something."""
        return self._answers

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """What the client says that it can do."""
        return self._capabilities

    @property
    def log_level(self) -> str | None:
        """The least severe log message that it wants with this request; None where it wants none."""
        return self._log_level

    async def progress(self, progress: float, total: float | None, message: str | None) -> None:
        """Tell it how far its request is, if it wants to know."""
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # it is gone
            await self._session.report_progress(progress, total, message)

    async def log(self, params: Mapping[str, Any]) -> None:
        """Pass on a server's log message, if it wants such."""
        if self._log_level not in _LEVELS or params["level"] not in _LEVELS[_LEVELS.index(self._log_level) :]:
            return
        notification = types.LoggingMessageNotification(
            params=types.LoggingMessageNotificationParams.model_validate(dict(params), by_name=False)
        )
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await self._session.send_notification(notification, related_request_id=self._request_id)

    async def ask(self, method: str, params: Mapping[str, Any]) -> Json:
        """What it answers to a server's request; raises UpstreamRejected if it does not."""
        request = _REQUESTS[method].model_validate({"method": method, "params": params}, by_name=False)
        about = ServerMessageMetadata(related_request_id=self._request_id)
        try:
            answer = await self._session.send_request(request, _result_of(request), metadata=about)
        except (MCPError, ValidationError) as error:
            raise UpstreamRejected("the client", f"it was asked ({method}) and answered: {error}") from error
        return answer.model_dump(by_alias=True, mode="json", exclude_none=True)


def _result_of(
    request: _Request,
) -> type[types.ElicitResult | types.CreateMessageResult | types.CreateMessageResultWithTools | types.ListRootsResult]:
    match request:
        case types.ElicitRequest():
            return types.ElicitResult
        case types.CreateMessageRequest():
            return types.CreateMessageResultWithTools if request.params.tools else types.CreateMessageResult
        case types.ListRootsRequest():
            return types.ListRootsResult
        case _:
            assert_never(request)
