"""An application that is made when it is first asked: what nobody asks for takes neither time nor memory."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

import trio

from gateway.serving.late import imported

if TYPE_CHECKING:
    from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope


class OnDemand:
    """Passes requests on to what `make` returns for the module `name`: once, in a thread; a failure is tried again."""

    def __init__(self, name: str, make: Callable[[ModuleType], ASGIFramework]) -> None:
        self._name = name
        self._make = make
        self._making = trio.Lock()
        self._app: ASGIFramework | None = None

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """One request."""
        app = self._app or await self._made()
        await app(scope, receive, send)

    async def _made(self) -> ASGIFramework:
        async with self._making:
            if self._app is None:
                self._app = await trio.to_thread.run_sync(self._make, await imported(self._name))
            return self._app
