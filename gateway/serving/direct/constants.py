"""What a server says of itself: initialize, server/discover, ping, the lists; written once and remembered.

What `Introduction` leaves to the SDK is asked of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import Any, Protocol

import orjson

from gateway.assembly import Gateway
from gateway.serving.direct.ending import Ending
from gateway.serving.direct.envelope import Envelope, Reply, Waiting
from gateway.serving.direct.introduction import LISTS, Introduction, version_of
from gateway.serving.direct.message import Message
from gateway.serving.direct.metas import Metas
from gateway.serving.direct.wire import Wire

_ID = 918273645
"""The id of what is remembered; an answer has it in its beginning."""

_HEAD = b'{"jsonrpc":"2.0","id":%d' % _ID
_LONG = 2048
"""Bytes of an `initialize` that is remembered."""
_MOST = 256

Key = tuple[str | None, str, int, bytes]
"""The revision, the method, the state of the catalogue, and what of the parameters matters."""


class Ask(Protocol):
    """Asks the SDK, as a client with these headers would."""

    async def __call__(self, body: bytes, envelope: Envelope) -> tuple[int, bytes]:
        """The status and the body of its answer."""


class _Said:
    """An answer without its id."""

    __slots__ = ("end", "status")

    def __init__(self, end: bytes, status: int) -> None:
        self.end = Ending((end,))
        self.status = status


class Constants:
    """Answers what has the same answer for everybody until the catalogue changes."""

    def __init__(self, gateway: Gateway, wire: Wire, metas: Metas, ask: Ask) -> None:
        self._catalogue = gateway.catalogue
        self._requests = gateway.watching.requests
        self._threshold = gateway.profile.server.compression_threshold
        self._wire = wire
        self._introduction = Introduction(gateway.profile, wire, told=False)
        self._metas = metas
        self._ask = ask
        self._said: dict[Key, _Said] = {}

    def answer(self, key: Key, message: Message, envelope: Envelope) -> Reply | Waiting:
        """The answer to what was recognised, or how to wait for it the first time."""
        said = self._said.get(key) or self._written(key, message, modern=envelope.modern)
        if said is not None:
            return self._reply(said, message, envelope)

        async def learn() -> Reply | None:
            said = await self._learn(key, message, envelope)
            return None if said is None else self._reply(said, message, envelope)

        return learn

    def recognise(self, message: Message, envelope: Envelope) -> Key | None:
        """What its answer is remembered by; None where `message` asks for something else."""
        method, about = message.method, b""
        params: dict[str, Any] = message.params or {}
        if method == "initialize":
            if envelope.modern or "_meta" in params:
                return None
            about = orjson.dumps(params)
            if len(about) > _LONG:
                return None
        elif not self._is_constant(method, modern=envelope.modern) or set(params) - {"_meta"}:
            return None
        else:
            meta = params.get("_meta", None if envelope.modern else {})
            if type(meta) is not dict or not self._metas.accepts(meta, modern=envelope.modern):
                return None
        if envelope.routed and envelope.modern and envelope.method != method:
            return None
        return envelope.version, method, self._catalogue.federation.version, about

    def _is_constant(self, method: str, *, modern: bool) -> bool:
        if method == "ping":
            return not modern
        if method == "server/discover":
            return modern
        kind = LISTS.get(method)
        # For how long the lists of other servers hold is another number with each moment.
        return kind is not None and self._catalogue.listing(kind[0]).holds == float("inf")

    def _written(self, key: Key, message: Message, *, modern: bool) -> _Said | None:
        """The answer as it is known here; None where only the SDK knows."""
        result = self._result(message, modern=modern)
        if result is None:
            return None
        return self._keep(key, self._wire.answered(_ID, result, modern=modern), 200)

    def _result(self, message: Message, *, modern: bool) -> Mapping[str, Any] | None:
        if self._catalogue.federation.servers:
            return None
        match message.method:
            case "ping":
                return {}
            case "initialize":
                version = version_of(message.params)
                return None if version is None else self._introduction.initialized(version)
            case "server/discover":
                return self._introduction.discovered()
            case method:
                kind = LISTS[method][0]
                if not self._catalogue.offers(kind):
                    return None
                definitions = self._catalogue.listing(kind).definitions
                return self._introduction.listed(method, definitions, modern=modern)

    async def _learn(self, key: Key, message: Message, envelope: Envelope) -> _Said | None:
        question: dict[str, Any] = {"jsonrpc": "2.0", "id": _ID, "method": message.method}
        if message.params is not None:
            question["params"] = message.params
        status, body = await self._ask(orjson.dumps(question), envelope)
        if not body.startswith(_HEAD):
            return None
        if self.recognise(message, envelope) != key:  # it is true now, and may not be for the next one
            return _Said(body[len(_HEAD) :], status)
        return self._keep(key, body, status)

    def _keep(self, key: Key, body: bytes, status: int) -> _Said:
        if len(self._said) >= _MOST:
            self._said.clear()
        self._said[key] = said = _Said(body[len(_HEAD) :], status)
        return said

    def _reply(self, said: _Said, message: Message, envelope: Envelope) -> Reply:
        began = perf_counter()
        beginning = b'{"jsonrpc":"2.0","id":%b' % self._wire.id_bytes(message.id, modern=envelope.modern)
        reply = said.end.after(beginning, envelope.coding, self._threshold, said.status)
        if message.method in LISTS:
            self._requests.ended("list", message.method, "", "", "passed", perf_counter() - began)
        return reply
