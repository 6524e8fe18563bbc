"""Requests of clients to one server, with the questions that it has for them on the way.

A server can ask in two ways: by a request of its own (handshake era), or by an answer that wants another request
(2026-07-28, "Multi round-trip requests"). So can a client be asked. All four combinations meet here.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import mcp_types as types
import trio

from gateway.errors import UpstreamError, UpstreamRejected, UpstreamUnavailable
from gateway.printable import printable
from gateway.profile.units import format_duration
from gateway.profile.upstreams.mcp import McpUpstream
from gateway.upstream.mcp.conversation import Conversation, Question
from gateway.upstream.mcp.model import Channel, Json, Unasked, UpstreamRefused
from gateway.upstream.mcp.session import Session
from gateway.upstream.policies import Policies
from gateway.upstream.policies.deadline import Doing, deadline

_ROUNDS = 10
"""Most answers that want another request, one after the other: as many as the SDKs allow."""
_PARKED = 1000
"""Most requests that wait for their client to come back."""
_MARK = "gateway:"
"""Begins the state of a request that waits here, in a task; any other is the server's own, sealed."""
_KEY = "question"
_CAPABILITY = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots"}


class Dialogue:
    """Makes requests; used within the `nursery` of the server's service."""

    def __init__(
        self,
        name: str,
        section: McpUpstream,
        policies: Policies,
        connected: Callable[[], Awaitable[Session]],
        nursery: trio.Nursery,
    ) -> None:
        self._name = name
        self._section = section
        self._policies = policies
        self._connected = connected
        self._nursery = nursery
        self._secret = secrets.token_bytes(32)
        self._parked: dict[str, tuple[str, Conversation]] = {}

    async def request(
        self,
        method: str,
        params: Json,
        channel: Channel,
        *,
        idempotent: bool = False,
        caller: str = "",
        guard: Callable[[], None] = lambda: None,
    ) -> Json:
        """The server's result; one of `resultType` "input_required" where the client has to come back with answers.

        `caller` says whose the request is: a state that another caller was given is refused. `guard` is called once
        there is a session, and may raise what speaks against making the request of it. Raises UpstreamError,
        and Unasked where the server wants to know something and the request is nobody's. Cancelling gives it up.
        """
        binding = f"{caller}\0{method}\0{params.get('name', params.get('uri', ''))}"
        state = params.get("requestState")
        if isinstance(state, str) and state.startswith(_MARK):
            return await self._resumed(state, params.get("inputResponses") or {}, channel, binding)
        if isinstance(state, str):
            params = {**params, "requestState": self._unsealed(state, binding)}
        for _ in range(_ROUNDS):
            conversation = await self._begin(method, params, channel, idempotent, guard)
            result = await self._carried_on(conversation, channel, binding)
            if result.get("resultType") != "input_required" or _is_parked(result):
                return result
            if channel.answers == "elsewhere":
                raise Unasked
            wanted = _wanted(result)
            self._check(channel, wanted)
            if channel.answers == "in a new request":
                return self._sealed(result, binding)
            answers = {key: await self._ask_now(channel, each) for key, each in wanted.items()}
            params = {key: value for key, value in params.items() if key not in ("inputResponses", "requestState")}
            params = {
                **params,
                **_given("inputResponses", answers),
                **_given("requestState", result.get("requestState")),
            }
        raise UpstreamRejected(self._name, f"it wanted to know more after {_ROUNDS} answers")

    async def _begin(
        self, method: str, params: Json, channel: Channel, idempotent: bool, guard: Callable[[], None]
    ) -> Conversation:
        """A conversation that has an answer or a question."""

        async def attempt() -> Conversation:
            session = await self._connected()
            guard()
            conversation = self._new(channel)
            self._nursery.start_soon(conversation.run, partial(session.request, method, params))
            try:
                await conversation.news()
            except BaseException:
                conversation.give_up()
                raise
            return conversation

        return await self._policies.ask(attempt, idempotent=idempotent)

    def _new(self, channel: Channel) -> Conversation:
        return Conversation(self._name, channel, self._section.input_timeout * 2)

    async def _carried_on(self, conversation: Conversation, channel: Channel, binding: str) -> Json:
        """The end of a conversation: the server's result, or one that sends the client off for an answer."""
        doing = Doing()
        doing.now = "waiting for the upstream"
        try:
            while True:
                with deadline(self._name, self._section.timeout, doing):
                    news = await conversation.news()
                if not isinstance(news, Question):
                    return news
                if channel.answers == "elsewhere":
                    raise Unasked
                if channel.answers == "in a new request" and _can_be_asked(channel, news.method):
                    parked = self._park(conversation, news, binding)
                    conversation = self._new(channel)  # that one is not to be given up
                    return parked
                news.reply(await self._answer(channel, news))
        finally:
            conversation.give_up()

    async def _answer(self, channel: Channel, question: Question) -> Json | UpstreamError:
        try:
            return await self._ask_now(channel, {"method": question.method, "params": question.params})
        except UpstreamError as error:
            return error

    def _check(self, channel: Channel, wanted: Mapping[str, Json]) -> None:
        """Raise UpstreamRejected where a server wants to know what it was told that it can't ask for."""
        for each in wanted.values():
            method = str(each["method"])
            if _CAPABILITY.get(method, method) not in self._section.client_features:
                why = f"which upstreams.{self._name}.client_features does not pass on"
                raise UpstreamRejected(self._name, f"it needs input ({printable(method)}), {why}")
            if not _can_be_asked(channel, method):
                raise self._unanswered(method)

    def _unanswered(self, method: str) -> UpstreamError:
        return UpstreamRejected(
            self._name, f"it needs input ({printable(method)}), and this client can't be asked for it"
        )

    async def _ask_now(self, channel: Channel, wanted: Mapping[str, Any]) -> Json:
        """What the client answers; raises UpstreamError."""
        method = str(wanted["method"])
        if channel.answers != "at once" or not _can_be_asked(channel, method):
            raise self._unanswered(method)
        try:
            with trio.fail_after(self._section.input_timeout):
                return await channel.ask(method, wanted.get("params") or {})
        except trio.TooSlowError:
            limit = f"{format_duration(self._section.input_timeout)} (upstreams.{self._name}.input_timeout)"
            raise UpstreamUnavailable(self._name, f"the client gave no answer within {limit}") from None

    def _park(self, conversation: Conversation, question: Question, binding: str) -> Json:
        """The answer that wants another request, for which the conversation waits."""
        if len(self._parked) >= _PARKED:
            question.reply(UpstreamError(self._name, "too many requests wait for their clients"))
            conversation.give_up()
            raise UpstreamUnavailable(self._name, "too many requests wait for the answers of their clients")
        token = _MARK + secrets.token_urlsafe(24)
        self._parked[token] = (binding, conversation)
        self._nursery.start_soon(self._forget, token)
        return _asked(question, token)

    async def _forget(self, token: str) -> None:
        """Give a parked request up whose client does not come back."""
        await trio.sleep(self._section.input_timeout)
        _, conversation = self._parked.pop(token, ("", None))
        if conversation is not None:
            conversation.give_up()

    async def _resumed(self, token: str, responses: Mapping[str, Json], channel: Channel, binding: str) -> Json:
        """What becomes of a parked request whose client has come back with an answer."""
        whose, conversation = self._parked.get(token, ("", None))
        if conversation is None or not hmac.compare_digest(whose.encode(), binding.encode()):
            raise self._strange()
        answer, question = responses.get(_KEY), conversation.question
        if not isinstance(answer, dict) and question is not None:
            return _asked(question, token)  # MCP 2026-07-28, "Multi round-trip requests": what is missing, once more
        del self._parked[token]
        conversation.now_of(channel)
        if question is not None:  # else it has ended meanwhile: its news say how
            question.reply(answer or {})
        return await self._carried_on(conversation, channel, binding)

    def _sealed(self, result: Json, binding: str) -> Json:
        """The result with a state that only its own caller can bring back, and only for the same request."""
        state = result.get("requestState")
        if not isinstance(state, str):
            return result
        return {**result, "requestState": f"{self._seal(state, binding)}.{state}"}

    def _unsealed(self, sealed: str, binding: str) -> str:
        seal, _, state = sealed.partition(".")
        if not hmac.compare_digest(seal.encode("utf-8", "replace"), self._seal(state, binding).encode()):
            raise self._strange()
        return state

    def _seal(self, state: str, binding: str) -> str:
        return hmac.new(self._secret, f"{binding}\0{state}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    def _strange(self) -> UpstreamError:
        """An error of the protocol, not a tool's result: that a client would take for the end of its request."""
        why = "this requestState is not of this gateway, caller and request; begin anew"
        return UpstreamRefused(self._name, why, types.INVALID_PARAMS)


def _asked(question: Question, token: str) -> Json:
    wanted = {"method": question.method, "params": question.params}
    return {"resultType": "input_required", "inputRequests": {_KEY: wanted}, "requestState": token}


def _wanted(result: Json) -> Mapping[str, Json]:
    return result.get("inputRequests") or {}


def _given(key: str, value: object) -> Json:
    return {key: value} if value else {}


def _is_parked(result: Json) -> bool:
    return str(result.get("requestState", "")).startswith(_MARK)


def _can_be_asked(channel: Channel, method: str) -> bool:
    return _CAPABILITY.get(method, method) in channel.capabilities
