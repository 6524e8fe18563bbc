"""One request to a server that may want to know something of the client before it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import trio

from gateway.errors import GatewayError, UpstreamError
from gateway.upstream.mcp.model import Answers, Channel, Json


@dataclass(slots=True, eq=False)
class Question:
    """What a server of the handshake era asks in the middle of a request."""

    method: str
    params: Json
    answered: trio.Event = field(default_factory=trio.Event)
    answer: Json | UpstreamError | None = None

    async def reply_to(self) -> Json:
        """Wait for the answer; raises UpstreamError when there is to be none."""
        await self.answered.wait()
        if isinstance(self.answer, UpstreamError):
            raise self.answer
        return self.answer or {}

    def reply(self, answer: Json | UpstreamError) -> None:
        """Let the server know; only the first answer counts."""
        if not self.answered.is_set():
            self.answer = answer
            self.answered.set()


class Conversation:
    """A request under way in a task of its own, so that it outlives the client's when that has to come back.

    It stands in for the client's channel towards the session: what the server asks is kept here as `question` until
    somebody replies.
    """

    def __init__(self, upstream: str, channel: Channel, patience: float) -> None:
        self._upstream = upstream
        self._channel = channel
        self._patience = patience
        self._scope = trio.CancelScope()
        self._news = trio.Event()
        self._outcome: Json | GatewayError | None = None
        self.question: Question | None = None
        """What the server waits for an answer to."""

    @property
    def answers(self) -> Answers:
        """How the client can be asked."""
        return self._channel.answers

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """What the client says that it can do."""
        return self._channel.capabilities

    @property
    def log_level(self) -> str | None:
        """The least severe log message that the client wants."""
        return self._channel.log_level

    async def progress(self, progress: float, total: float | None, message: str | None) -> None:
        """Tell the client how far it is."""
        await self._channel.progress(progress, total, message)

    async def log(self, params: Mapping[str, Any]) -> None:
        """Pass on a log message."""
        await self._channel.log(params)

    def now_of(self, channel: Channel) -> None:
        """From now on it is this channel that the client is reached by: the one of its next request."""
        self._channel = channel

    async def ask(self, method: str, params: Mapping[str, Any]) -> Json:
        """What is replied to the question; raises UpstreamError when there is no answer."""
        if self.question is not None:
            raise UpstreamError(self._upstream, "one question at a time")
        self.question = Question(method, dict(params))
        self._news.set()
        try:
            with trio.fail_after(self._patience):  # in case that nobody hears of it
                answer = await self.question.reply_to()
        except trio.TooSlowError:
            raise UpstreamError(self._upstream, "nobody answered the question") from None
        finally:
            self.question = None
        return answer

    async def run(self, request: Callable[[Channel], Awaitable[Json]]) -> None:
        """Make the request and keep what comes of it."""
        with self._scope:
            try:
                self._outcome = await request(self)
            except GatewayError as error:
                self._outcome = error
            finally:
                if self._outcome is None:
                    self._outcome = GatewayError("the request was given up")
                self._news.set()

    def give_up(self) -> None:
        """Nobody wants the answer any more: the server is told so, and not kept waiting for one to its question."""
        if self.question is not None:
            self.question.reply(UpstreamError(self._upstream, "the client is gone"))
        self._scope.cancel()

    async def news(self) -> Json | Question:
        """The answer, or what the server wants to know first; raises what the request raised."""
        while True:
            if self._outcome is not None:
                if isinstance(self._outcome, GatewayError):
                    raise self._outcome.with_traceback(None)
                return self._outcome
            if self.question is not None and not self.question.answered.is_set():
                return self.question
            self._news = trio.Event()
            await self._news.wait()
