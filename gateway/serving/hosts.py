"""Who may ask: checks of Host and Origin, against DNS rebinding and foreign web pages."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope

_LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})


class HostCheck:
    """An ASGI application in front of `app` that answers 421 to a foreign Host and 403 to a foreign Origin.

    Own names are localhost in its three spellings, the addresses bound to, and those that the profile allows. Sources:
    RFC 9110, section 7.4 (misdirected requests); MCP, streamable HTTP, "Security Warning" (Origin).
    """

    def __init__(
        self, app: ASGIFramework, bound: Iterable[str], hosts: Iterable[str] = (), origins: Iterable[str] = ()
    ) -> None:
        self._app = app
        self._hosts = _LOCAL | {_bound_name(address) for address in bound} | {host.lower() for host in hosts}
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Pass the request on, or refuse it before anything runs."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        named = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"]
        origins = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"origin"]
        if len(named) != 1 or not self._is_own(named[0]):
            await answer(send, 421, b"Misdirected request: this Host is not served here (server.allowed_hosts)\n")
        elif not all(self._is_allowed(origin) for origin in origins):
            await answer(send, 403, b"This Origin may not ask here (server.allowed_origins)\n")
        else:
            await self._app(scope, receive, send)

    def _is_own(self, host: str) -> bool:
        name, _, port = host.rpartition(":")
        has_port = bool(name) and port.isascii() and port.isdigit()
        return host in self._hosts or (has_port and name in self._hosts)

    def _is_allowed(self, origin: str) -> bool:
        if origin in self._origins:
            return True
        try:
            parts = urlsplit(origin)
            host, _ = parts.hostname, parts.port
        except ValueError:
            return False
        exact = origin == f"{parts.scheme}://{parts.netloc}" and parts.username is None
        return exact and parts.scheme in ("http", "https") and host in ("localhost", "127.0.0.1", "::1")


async def answer(send: ASGISendCallable, status: int, body: bytes, *more: tuple[bytes, bytes]) -> None:
    """Answer a request with a short text; `more` are further headers."""
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def reachable(address: str) -> str:
    """The address by which a client on this machine reaches a bound one, and which is served: no `0.0.0.0:8765`."""
    return f"{_bound_name(address)}:{address.rpartition(':')[2]}"


def _bound_name(address: str) -> str:
    """The Host that a bound address is asked by: its address, unless it is the one that means all of them."""
    host = address.rpartition(":")[0].lower()
    try:
        return "localhost" if ipaddress.ip_address(host.strip("[]")).is_unspecified else host
    except ValueError:
        return host
