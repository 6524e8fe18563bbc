"""The one door: from the bytes of a request to those of its answer, or the word that it is for the SDK."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import orjson

from gateway.assembly import Gateway
from gateway.serving.direct.calls import Calls
from gateway.serving.direct.constants import Ask, Constants
from gateway.serving.direct.envelope import Envelope, Reply
from gateway.serving.direct.message import parse
from gateway.serving.direct.metas import Metas
from gateway.serving.direct.wire import Wire
from gateway.telemetry.tracing import tracing

Waiting = Callable[[], Awaitable[Reply | None]]
"""Makes an answer that has to be waited for; None is that the SDK has to make it after all."""

_INITIALIZED = (
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {"jsonrpc": "2.0", "method": "notifications/initialized", "params": {}},
)
_ACCEPTED = Reply((), 0, status=202)


class Answers:
    """Answers what it fully recognises."""

    def __init__(self, gateway: Gateway, ask: Ask) -> None:
        metas = Metas()
        self._calls = Calls(gateway, Wire(gateway.profile.server), metas)
        self._constants = Constants(gateway, metas, ask)

    def to(self, body: bytes, envelope: Envelope) -> Reply | Waiting | None:
        """The answer to `body`, or how to wait for it; None where it is for the SDK."""
        message = parse(body)
        if message is None:
            return _ACCEPTED if not envelope.modern and _is_initialized(body) else None
        if message.method != "tools/call":
            return None if tracing() else self._constants.answer(message, envelope)
        if envelope.routed and envelope.modern and envelope.method != "tools/call":
            return None
        call = self._calls.accept(message, envelope)
        if call is None:
            return None
        return self._calls.hit(call) or partial(self._calls.answer, call)


def _is_initialized(body: bytes) -> bool:
    """Whether it is the notification that ends the handshake; a server without sessions has nothing to do at it."""
    try:
        return orjson.loads(body) in _INITIALIZED
    except ValueError:
        return False
