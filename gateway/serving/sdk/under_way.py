"""Requests that were read from a stream and are not answered yet, so that its end can wait for them."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from types import TracebackType
from typing import Self

import anyio
import trio
from mcp.shared._context_streams import ContextReceiveStream, ContextSendStream
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from mcp_types import JSONRPCError, JSONRPCRequest, JSONRPCResponse, RequestId


class UnderWay:
    """Puts the end of a client's stream off until its requests are answered; the SDK would cancel them there.

    `at_end` is called when the end is seen: it ends what would go on for as long as the client listens.
    """

    def __init__(self, at_end: Callable[[], None] = lambda: None) -> None:
        self.at_end = at_end
        self._ids: set[RequestId] = set()
        self._none = trio.Event()
        self._none.set()

    def reading(self, stream: ContextReceiveStream[SessionMessage | Exception]) -> Reading:
        """`stream`, with its end held back."""
        return Reading(stream, self)

    def writing(self, stream: ContextSendStream[SessionMessage], answered: set[RequestId]) -> Writing:
        """`stream`, whose answers are counted, but for those to what was `answered` before the SDK had it."""
        return Writing(stream, self, answered)

    def began(self, request: RequestId) -> None:
        """A request was read."""
        self._ids.add(request)
        self._none = trio.Event()

    def ended(self, request: RequestId | None) -> None:
        """It was answered, or never will be since its client cancelled it."""
        self._ids -= {request}
        if not self._ids:
            self._none.set()

    async def wait_none(self) -> None:
        """Wait until none is left; what is read meanwhile counts too."""
        while self._ids:
            await self._none.wait()


class Reading:
    """What the SDK reads: the stream given, which ends when nothing is under way any more."""

    def __init__(self, stream: ContextReceiveStream[SessionMessage | Exception], under_way: UnderWay) -> None:
        self._stream = stream
        self._under_way = under_way

    @property
    def last_context(self) -> contextvars.Context | None:
        """The context that the last message was sent in, which the SDK restores."""
        return self._stream.last_context

    async def receive(self) -> SessionMessage | Exception:
        """The next message; raises EndOfStream when there is none and nothing is under way."""
        try:
            item = await self._stream.receive()
        except anyio.EndOfStream:
            self._under_way.at_end()
            await self._under_way.wait_none()
            raise
        if isinstance(item, SessionMessage) and isinstance(item.message, JSONRPCRequest):
            request = item.message.id
            self._under_way.began(request)

            async def unanswered() -> None:
                await trio.lowlevel.checkpoint()
                self._under_way.ended(request)

            item.metadata = ServerMessageMetadata(on_request_unanswered=unanswered)
        return item

    async def aclose(self) -> None:
        """Close the stream given."""
        await self._stream.aclose()

    def __aiter__(self) -> Reading:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


class Writing:
    """What the SDK writes to."""

    def __init__(
        self, stream: ContextSendStream[SessionMessage], under_way: UnderWay, answered: set[RequestId]
    ) -> None:
        self._stream = stream
        self._under_way = under_way
        self._answered = answered

    async def send(self, item: SessionMessage, /) -> None:
        """Pass a message on."""
        message = item.message
        if not isinstance(message, JSONRPCResponse | JSONRPCError):
            await self._stream.send(item)
            return
        if message.id is not None and message.id in self._answered:
            self._answered.discard(message.id)
            await trio.lowlevel.checkpoint()
        else:
            await self._stream.send(item)
        self._under_way.ended(message.id)

    async def aclose(self) -> None:
        """Close the stream given."""
        await self._stream.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
