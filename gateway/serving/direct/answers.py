"""The one door: from the bytes of a request to those of its answer, or the word that it is for the SDK."""

from __future__ import annotations

from functools import partial

import orjson

from gateway.assembly import Gateway
from gateway.serving.direct.calls import Asked, Call, Calls
from gateway.serving.direct.constants import Ask, Constants
from gateway.serving.direct.envelope import Envelope, Recognised, Reply, Waiting
from gateway.serving.direct.message import Message, parse
from gateway.serving.direct.metas import Metas
from gateway.serving.direct.repeats import Repeats, without_id
from gateway.serving.direct.wire import Wire
from gateway.telemetry.tracing import tracing

_INITIALIZED = (
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {"jsonrpc": "2.0", "method": "notifications/initialized", "params": {}},
)
_ACCEPTED = Reply((), 0, status=202)


class Answers:
    """Answers what it fully recognises."""

    def __init__(self, gateway: Gateway, ask: Ask | None = None) -> None:
        """With `ask`, which asks the SDK, they are for HTTP, where they say what the server is, too."""
        metas, wire = Metas(), Wire(gateway.profile.server, escaping=ask is not None)
        self._calls = Calls(gateway, wire, metas)
        self._constants = Constants(gateway, wire, metas, ask) if ask is not None else None
        self._repeats: Repeats[Asked] = Repeats()

    def recognise(self, body: bytes, envelope: Envelope) -> Recognised | None:
        """The way to the answer to `body`; None where that is for the SDK. Nothing is done or counted yet."""
        split = without_id(body)
        about = envelope.modern, envelope.method, envelope.name
        asked = None if split is None else self._repeats.find(split[1], about)
        if split is not None and asked is not None:
            return partial(self._called, Call(split[0], asked))
        message = parse(body)
        if message is None:
            return _accepted if not envelope.modern and _is_initialized(body) else None
        if message.method != "tools/call":
            return self._constant(message, envelope)
        asked = self._asked(message, envelope)
        if asked is None:
            return None
        if split is not None:
            self._repeats.keep(split[1], about, body, message, asked)
        return partial(self._called, Call(message.id, asked))

    def recognise_message(self, message: Message, envelope: Envelope) -> Recognised | None:
        """As `recognise`, for a request that was parsed already."""
        if message.method != "tools/call":
            return self._constant(message, envelope)
        asked = self._asked(message, envelope)
        return None if asked is None else partial(self._called, Call(message.id, asked))

    def _constant(self, message: Message, envelope: Envelope) -> Recognised | None:
        constants = None if tracing() else self._constants
        key = None if constants is None else constants.recognise(message, envelope)
        return None if constants is None or key is None else partial(constants.answer, key, message)

    def _asked(self, message: Message, envelope: Envelope) -> Asked | None:
        if envelope.routed and envelope.modern and envelope.method != "tools/call":
            return None
        return self._calls.recognise(message, envelope)

    def _called(self, call: Call, envelope: Envelope) -> Reply | Waiting:
        return self._calls.hit(call, envelope) or partial(self._calls.answer, call, envelope)


def _accepted(_: Envelope) -> Reply:
    return _ACCEPTED


def _is_initialized(body: bytes) -> bool:
    """Whether it is the notification that ends the handshake; a server without sessions has nothing to do at it."""
    try:
        return orjson.loads(body) in _INITIALIZED
    except ValueError:
        return False
