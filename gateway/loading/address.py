"""Where an MCP server is that is asked by HTTP: its name looked up once, its headers made once."""

from __future__ import annotations

import errno
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

import trio

from gateway.errors import GatewayError
from gateway.loading.model import Era
from gateway.loading.wire import VERSIONS, header_value


@dataclass(frozen=True, slots=True)
class Address:
    """Where to ask, as it was said and as it was found."""

    url: str
    host: str
    """Of the header Host."""
    path: str
    family: int
    address: tuple[str, int]
    tls: tuple[ssl.SSLContext, str] | None
    headers: Mapping[str, str] = field(default_factory=dict)

    def head(self, era: Era, method: str, name: str | None) -> bytes:
        """The headers of a request that are the same each time, up to its length."""
        lines = {
            "Host": self.host,
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
            "User-Agent": "gateway-load",
            **self.headers,
        }
        if era == "modern":
            lines |= {"MCP-Protocol-Version": VERSIONS[era], "Mcp-Method": method}
            lines |= {} if name is None else {"Mcp-Name": header_value(name)}
        elif method != "initialize":
            lines["MCP-Protocol-Version"] = VERSIONS[era]
        said = "".join(f"{key}: {value}\r\n" for key, value in lines.items())
        return f"POST {self.path} HTTP/1.1\r\n{said}".encode("latin-1")


async def find_address(url: str, headers: Mapping[str, str], ca: str | None) -> Address:
    """The address behind a URL: its name is looked up once, and the first address that answers is used.

    Raises GatewayError with a sentence.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise GatewayError(f"{url} is no address: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii() or not url.isprintable():
        raise GatewayError(f"expected an address such as http://127.0.0.1:8765/mcp, found {url!r}")
    if "@" in parts.netloc:
        raise GatewayError("an address that holds a password would end up in the report; use --header Authorization=…")
    host, secure = parts.hostname, parts.scheme == "https"
    try:
        stream = await trio.open_tcp_stream(host, port or (443 if secure else 80))
    except OSError as error:
        raise GatewayError(f"{url} can't be reached: {reason(error)}") from None
    name = stream.socket.getpeername()
    family = int(stream.socket.family)
    await stream.aclose()
    tls = (_context(ca), host) if secure else None
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(url, parts.netloc, path.replace(" ", "%20"), family, cast("tuple[str, int]", name), tls, headers)


def _context(ca: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:  # an SSLError, too
        raise GatewayError(f"{ca} can't be used: {error.strerror or error}") from None


def reason(error: BaseException) -> str:
    """The first thing that a person can use: trio's own errors hold the system's as a cause, in a group."""
    cause: Any = error
    while cause is not None:
        if isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        elif isinstance(cause, ssl.SSLError):
            break
        elif isinstance(cause, OSError) and cause.errno is not None and cause.errno in errno.errorcode:
            return os.strerror(cause.errno)  # trio's own text repeats the address
        elif cause.__cause__ is None:
            break
        else:
            cause = cause.__cause__
    return str(cause) or type(cause).__name__
