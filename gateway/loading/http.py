"""An MCP server behind streamable HTTP, and clients that each ask it over a connection of their own."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import trio

from gateway.loading.address import Address, reason
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
            raise _Lost(RESET, reason(error)) from None
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
                raise _Lost(UNREACHABLE, reason(error)) from None
            self._exchange = Exchange()
            self._last = trio.current_time()
        return self._transport

    def _drop(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None
