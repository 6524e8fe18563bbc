"""An MCP server behind streamable HTTP, and clients that each ask it over a connection of their own."""

from __future__ import annotations

import errno
import itertools
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

import trio

from gateway.errors import GatewayError
from gateway.loading.exchange import BadAnswer, Exchange
from gateway.loading.model import CLOSED, INVALID, REFUSED, RESET, UNREACHABLE, Call, Era, Reply
from gateway.loading.transport import Transport, connected
from gateway.loading.wire import (
    DISCOVER,
    INITIALIZED,
    VERSIONS,
    answer_to,
    call_body,
    discover_body,
    header_value,
    initialize_body,
    judged,
)

_LARGEST = 64_000_000
"""Bytes of an answer; no tool's is so large, and one that never ends must not fill the memory."""
_IDLE = 0.2
"""Seconds after which a connection is looked at before it is used: the server may have ended it meanwhile."""


class _Lost(Exception):
    """The connection broke, or what came over it was no answer."""

    def __init__(self, kind: str, detail: str = "") -> None:
        self.kind = kind
        self.detail = detail
        super().__init__(kind)


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


@dataclass(slots=True, eq=False)
class HttpTarget:
    """A server that was reached."""

    address: Address
    era: Era
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    heads: dict[str, bytes] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its address."""
        return self.address.url

    def client(self) -> HttpClient:
        """One more client."""
        return HttpClient(self)

    def head(self, tool: str) -> bytes:
        """The headers of the calls of a tool."""
        head = self.heads.get(tool)
        if head is None:
            head = self.heads[tool] = self.address.head(self.era, "tools/call", tool)
        return head


class HttpClient:
    """One connection, kept alive, and opened again when it is gone."""

    def __init__(self, target: HttpTarget) -> None:
        self._target = target
        self._transport: Transport | None = None
        self._exchange = Exchange()
        self._session: bytes = b""
        self._begun = target.era == "modern"
        self._last = 0.0

    async def open(self) -> Reply:
        """Connect, and begin a session in the handshake era."""
        try:
            await self._connect()
            if not self._begun:
                await self._begin()
        except _Lost as lost:
            self._drop()
            return Reply(0, lost.kind, lost.detail)
        return Reply()

    async def ask(self, call: Call) -> Reply:
        """Make a call. What went wrong is in the reply."""
        if not self._begun and (reply := await self.open()).error is not None:
            return reply
        number = next(self._target.numbers)
        try:
            return await self._asked(number, call)
        except _Lost as lost:
            size = self._exchange.size
            self._drop()
            return Reply(size, lost.kind, lost.detail)
        except BaseException:  # given up: the answer that may still come is nobody's
            self._drop()
            raise

    async def aclose(self) -> None:
        """Close the connection."""
        self._drop()
        await trio.lowlevel.checkpoint()

    async def probe(self, era: Era) -> Reply:
        """Ask what only servers of the modern era answer, or begin a session; for finding out which it is."""
        if era == "handshake":
            return await self.open()
        try:
            await self._connect()
            head = self._target.address.head("modern", DISCOVER, None)
            exchange = await self._exchanged(head, discover_body(0))
            message = answer_to(0, exchange.body, exchange.content_type)
        except _Lost as lost:
            self._drop()
            return Reply(0, lost.kind, lost.detail)
        except ValueError as error:
            return self._refused(self._exchange, str(error))
        result = message.get("result")
        known = isinstance(result, dict) and VERSIONS["modern"] in (result.get("supportedVersions") or ())
        return Reply() if known else judged(message, 0) if "error" in message else Reply(0, INVALID, "another era")

    async def _asked(self, number: int, call: Call) -> Reply:
        target = self._target
        exchange = await self._exchanged(target.head(call.tool) + self._session, call_body(target.era, number, call))
        try:
            message = answer_to(number, exchange.body, exchange.content_type)
        except ValueError as error:
            return self._refused(exchange, str(error))
        if exchange.status >= 400 and "result" in message:
            return self._refused(exchange, "")
        return judged(message, exchange.size)

    def _refused(self, exchange: Exchange, problem: str) -> Reply:
        """Of an answer without a message in it: what its status says."""
        if exchange.status == 404 and self._session:  # the session is over (2025-11-25, "Session Management")
            self._begun, self._session = False, b""
        if not 200 <= exchange.status < 300:
            return Reply(exchange.size, f"HTTP {exchange.status}", exchange.body[:200].decode("utf-8", "replace"))
        return Reply(exchange.size, INVALID, problem)

    async def _begin(self) -> None:
        """The handshake: initialize, the session's id where there is one, and the notification."""
        address = self._target.address
        exchange = await self._exchanged(address.head("handshake", "initialize", None), initialize_body(0))
        try:
            message = answer_to(0, exchange.body, exchange.content_type)
        except ValueError as error:
            reply = self._refused(exchange, str(error))
            raise _Lost(reply.error or INVALID, reply.detail) from None
        if "result" not in message:
            reply = judged(message, 0)
            raise _Lost(reply.error or INVALID, reply.detail)
        self._session = b"Mcp-Session-Id: %b\r\n" % exchange.session if exchange.session else b""
        head = address.head("handshake", "notifications/initialized", None) + self._session
        exchange = await self._exchanged(head, INITIALIZED)
        if exchange.status >= 300:
            raise _Lost(f"HTTP {exchange.status}", "to notifications/initialized")
        self._begun = True

    async def _exchanged(self, head: bytes, body: bytes) -> Exchange:
        """Send a request and read its answer to the end."""
        exchange = self._exchange
        exchange.size = 0
        transport = self._transport
        if transport is not None and trio.current_time() - self._last > _IDLE and transport.stale():
            self._drop()
            transport = None
        if transport is None:
            transport = await self._connect()
        exchange = self._exchange
        exchange.begin()
        try:
            await transport.send(b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body))
            while not exchange.done:
                data = await transport.receive()
                if not data:
                    if exchange.end():
                        exchange.keep_alive = False
                        break
                    raise _Lost(CLOSED, "in the middle of an answer" if exchange.size else "without an answer")
                exchange.feed(data)
                if exchange.size > _LARGEST:
                    raise _Lost(INVALID, f"it is longer than {_LARGEST} bytes")
        except BadAnswer as error:
            raise _Lost(INVALID, f"no HTTP: {error}") from None
        except (OSError, trio.BrokenResourceError) as error:
            raise _Lost(RESET, _reason(error)) from None
        self._last = trio.current_time()
        if not exchange.keep_alive:
            self._drop()
        return exchange

    async def _connect(self) -> Transport:
        if self._transport is None:
            address = self._target.address
            try:
                self._transport = await connected(address.family, address.address, address.tls)
            except ConnectionRefusedError:
                raise _Lost(REFUSED) from None
            except ConnectionResetError:
                raise _Lost(RESET) from None
            except (OSError, trio.BrokenResourceError) as error:
                raise _Lost(UNREACHABLE, _reason(error)) from None
            self._exchange = Exchange()
            self._last = trio.current_time()
        return self._transport

    def _drop(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None


@asynccontextmanager
async def open_http(
    url: str, era: Era | None, *, headers: Mapping[str, str], ca: str | None, patience: float
) -> AsyncIterator[HttpTarget]:
    """The server at `url`, once it was reached; where no era is named, the one that it speaks.

    Raises GatewayError with a sentence where it can't be reached, or speaks no MCP within `patience` seconds.
    """
    address: Address | None = None
    with trio.move_on_after(patience):
        address = await _found(url, headers, ca)
    if address is None:
        raise GatewayError(f"{url} can't be reached: no connection within {patience:g} s")
    yield HttpTarget(address, era or await _era(address, patience))


async def _found(url: str, headers: Mapping[str, str], ca: str | None) -> Address:
    """The address behind a URL: its name is looked up once, and the first address that answers is used."""
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
        raise GatewayError(f"{url} can't be reached: {_reason(error)}") from None
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


async def _era(address: Address, patience: float) -> Era:
    replies: list[Reply] = []
    eras: tuple[Era, ...] = ("modern", "handshake")
    for era in eras:
        reply = Reply(0, f"no answer within {patience:g} s")
        client = HttpTarget(address, era).client()
        with trio.move_on_after(patience):
            reply = await client.probe(era)
        await client.aclose()
        if reply.error is None:
            return era
        replies.append(reply)
    last = replies[-1]
    told = f"{last.error}: {last.detail}" if last.detail else last.error
    problem = "can't be reached" if last.error == UNREACHABLE else "does not answer as an MCP server"
    raise GatewayError(f"{address.url} {problem}: {told}")


def _reason(error: BaseException) -> str:
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
