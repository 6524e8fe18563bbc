"""ASGI's lifespan, for applications that have nothing to do at their start and their end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable


async def lifespan(receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Say that both went well (ASGI, "Lifespan Protocol")."""
    while True:
        match (await receive())["type"]:
            case "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            case "lifespan.shutdown":
                await send({"type": "lifespan.shutdown.complete"})
                return
