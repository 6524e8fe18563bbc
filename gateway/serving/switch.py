"""Stands for an application that a reload replaces."""

from __future__ import annotations

from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope


class Switch:
    """An ASGI application that is another one from time to time."""

    def __init__(self, app: ASGIFramework) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """One request, by whatever it is at the moment."""
        await self.app(scope, receive, send)
