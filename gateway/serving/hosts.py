"""Who may ask: checks of Host and Origin, against DNS rebinding and foreign web pages."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope

from gateway.errors import GatewayError
from gateway.profile.serving import Admin, Server

GUARDS = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}
"""Headers of all that the admin site answers."""
_TEXT = b"text/plain; charset=utf-8"
_LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})


class HostCheck:
    """An ASGI application in front of `app` that answers 421 to a foreign Host and 403 to a foreign Origin.

    Own names are localhost in its three spellings, the addresses bound to, and those that the profile allows; the pages
    of an own name may ask, and of localhost on any port, unless it is `own_pages_only`. Sources:
    RFC 9110, section 7.4 (misdirected requests); MCP, streamable HTTP, "Security Warning" (Origin).
    """

    def __init__(
        self,
        app: ASGIFramework,
        bound: Iterable[str],
        hosts: Iterable[str] = (),
        origins: Iterable[str] = (),
        *,
        section: str = "server",
        own_pages_only: bool = False,
    ) -> None:
        self._app = app
        self._section = section
        self._own_pages_only = own_pages_only
        names = {_bound_name(address) for address in bound if not address.startswith("unix:")}
        self._hosts = _LOCAL | names | {host.lower() for host in hosts}
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Pass the request on, or refuse it before anything runs."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self.refusal(list(scope["headers"]))
        if refusal is not None:
            status, sentence = refusal
            await answer(send, status, sentence.encode())
        else:
            await self._app(scope, receive, send)

    def refusal(self, headers: Sequence[tuple[bytes, bytes]]) -> tuple[int, str] | None:
        """The status and the sentence for whoever may not ask with these headers (names in lower case)."""
        named = [value.decode("latin-1").lower() for name, value in headers if name == b"host"]
        origins = [value.decode("latin-1").lower() for name, value in headers if name == b"origin"]
        if len(named) != 1 or not self._is_own(named[0]):
            return 421, f"Misdirected request: this Host is not served here ({self._section}.allowed_hosts)\n"
        if not all(self._is_allowed(origin, named[0]) for origin in origins) or self._is_foreign(headers):
            allowed = "only pages of its own" if self._own_pages_only else f"{self._section}.allowed_origins"
            return 403, f"This Origin may not ask here ({allowed})\n"
        return None

    def _is_own(self, host: str) -> bool:
        name, _, port = host.rpartition(":")
        has_port = bool(name) and port.isascii() and port.isdigit()
        return host in self._hosts or (has_port and name in self._hosts)

    def _is_foreign(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Whether a browser says that a page of another site asks, also where it sends no Origin: for an image.

        A link that leads here is no such question. Source: W3C, Fetch Metadata Request Headers.
        """
        if not self._own_pages_only:
            return False
        said = dict(headers)
        foreign = said.get(b"sec-fetch-site") in (b"cross-site", b"same-site")
        return foreign and said.get(b"sec-fetch-mode") != b"navigate"

    def _is_allowed(self, origin: str, host: str) -> bool:
        if self._own_pages_only:
            return origin in (f"http://{host}", f"https://{host}")
        if origin in self._origins:
            return True
        try:
            parts = urlsplit(origin)
            name, _ = parts.hostname, parts.port
        except ValueError:
            return False
        exact = origin == f"{parts.scheme}://{parts.netloc}" and parts.username is None
        return exact and parts.scheme in ("http", "https") and name in ("localhost", "127.0.0.1", "::1")


def admin_check(site: ASGIFramework, bound: Iterable[str], section: Admin) -> HostCheck:
    """The check in front of an admin site, which answers pages of its own alone."""
    return HostCheck(site, bound, section.allowed_hosts, section="admin", own_pages_only=True)


async def answer(
    send: ASGISendCallable, status: int, body: bytes, *more: tuple[bytes, bytes], kind: bytes = _TEXT
) -> None:
    """Answer a request with a short text, or another `kind` of content; `more` are further headers."""
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def reachable(address: str) -> str:
    """The address by which a client on this machine reaches a bound one, and which is served: no `0.0.0.0:8765`."""
    return f"{_bound_name(address)}:{address.rpartition(':')[2]}"


def url_of(section: Server) -> str:
    """Where a client on this machine finds MCP; raises GatewayError where that is no address."""
    if not section.bind:
        raise GatewayError("server.bind: expected an address that a URL can name, found none: name one with --url")
    return f"http://{reachable(section.bind[0])}{section.path}"


def _bound_name(address: str) -> str:
    """The Host that a bound address is asked by: its address, unless it is the one that means all of them."""
    host = address.rpartition(":")[0].lower()
    try:
        return "localhost" if ipaddress.ip_address(host.strip("[]")).is_unspecified else host
    except ValueError:
        return host
