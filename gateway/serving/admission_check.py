"""Admission of requests to an ASGI application."""

from __future__ import annotations

from typing import Any, cast

from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope

from gateway.serving.admission import CLIENT, Admission, Refusal
from gateway.serving.hosts import answer


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
        peer = scope["client"]
        admitted = self._admission.admit(authorizations, peer[0] if peer else "")
        if isinstance(admitted, Refusal):
            await answer(send, admitted.status, admitted.body, *admitted.headers)
        else:
            known: dict[str, Any] = {**scope, CLIENT: admitted}
            await self._app(cast("Scope", known), receive, send)
