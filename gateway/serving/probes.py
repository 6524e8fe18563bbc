"""Whether the gateway lives, and whether it is ready: what others ask every second, answered without the admin site."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import orjson

from gateway import __version__
from gateway.serving.hosts import GUARDS, answer

if TYPE_CHECKING:
    from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope

_GUARDS = [(name.encode(), value.encode()) for name, value in GUARDS.items()]


@dataclass(frozen=True, slots=True)
class Standing:
    """What /readyz says."""

    status: Literal["ready", "warming", "draining"]
    tools: int
    tiers: Sequence[str]

    @classmethod
    def of(cls, tools: int, tiers: Sequence[str], *, ready: bool, stopping: bool) -> Standing:
        """What is said where it drains as soon as it is `stopping`."""
        return cls("draining" if stopping else "ready" if ready else "warming", tools, tiers)


class Probes:
    """An ASGI application in front of the admin site, `app`, that answers /healthz and /readyz.

    /healthz: the process lives and its event loop turns. /readyz: whether new requests are welcome, 200 while they are,
    503 while the gateway warms up or drains.
    """

    def __init__(self, app: ASGIFramework, standing: Callable[[], Standing]) -> None:
        self._app = app
        self._standing = standing

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """One request."""
        path = _path(scope["path"]) if scope["type"] == "http" else ""
        if scope["type"] != "http" or path not in ("/healthz", "/readyz"):
            await self._app(scope, receive, send)
        elif scope["method"] in ("GET", "HEAD"):
            await self._answer(path, send)
        else:
            await _send(send, 405, {"error": "GET or HEAD is expected here"}, (b"allow", b"GET, HEAD"))

    async def _answer(self, path: str, send: ASGISendCallable) -> None:
        if path == "/healthz":
            await _send(send, 200, {"status": "ok", "version": __version__})
            return
        now = self._standing()
        about = {"status": now.status, "tools": now.tools, "tiers": list(now.tiers)}
        await _send(send, 200 if now.status == "ready" else 503, about)


def _path(target: str) -> str:
    """The path of a request's target, which may be a whole address (RFC 9112, section 3.2.2)."""
    return target if target.startswith("/") else urlsplit(target).path


async def _send(send: ASGISendCallable, status: int, about: dict[str, Any], *more: tuple[bytes, bytes]) -> None:
    # hypercorn leaves the body out for HEAD
    await answer(send, status, orjson.dumps(about) + b"\n", *_GUARDS, *more, kind=b"application/json")
