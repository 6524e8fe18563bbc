"""Admission of requests to an ASGI application."""

from __future__ import annotations

from typing import Any, cast

import trio
from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope

from gateway.serving.admission import CLIENT, Admission, Refusal
from gateway.serving.hosts import answer

_ROOM = 65_536
"""Bytes of a refused request's body that are read, and thrown away."""
_PATIENCE = 1.0
"""Seconds that they may take."""


class AdmissionCheck:
    """An ASGI application in front of `app` that answers 401 to who is not known and 429 to who asks too often.

    `app` finds who asks in its scope, under `CLIENT`.
    """

    def __init__(self, app: ASGIFramework, admission: Admission) -> None:
        self._app = app
        self._admission = admission

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Pass the request on, or refuse it before anything runs."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        authorizations = [value for name, value in scope["headers"] if name == b"authorization"]
        forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        peer = scope["client"]
        admitted = self._admission.admit(authorizations, peer[0] if peer else "", forwarded)
        if isinstance(admitted, Refusal):
            ended = await _ended(receive)
            told = [] if ended or scope["http_version"] == "2" else [(b"connection", b"close")]
            await answer(send, admitted.status, admitted.body, *admitted.headers, *told)
        else:
            known: dict[str, Any] = {**scope, CLIENT: admitted}
            await self._app(cast("Scope", known), receive, send)


async def _ended(receive: ASGIReceiveCallable) -> bool:
    """Whether the request came to its end soon.

    Hypercorn closes the connection of a request that is answered before it has ended. A client that is not told so
    sends its next one there, and that is lost (RFC 9112, section 9.6): a new try after a 429 would fail at times.
    """
    room = _ROOM
    with trio.move_on_after(_PATIENCE):
        while room > 0:
            message = await receive()
            if message["type"] != "http.request":
                return False
            if not message["more_body"]:
                return True
            room -= len(message["body"])
    return False
