"""An MCP server behind a URL: the SDK's streamable HTTP transport, on connections that are vetted and bounded.

The SDK gives a whole session up when one request fails below HTTP. So what fails there is turned into an answer with
an error of JSON-RPC here, and fails alone; only a session that the server has forgotten is given up.
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpcore2
import httpx2
import mcp_types as types
import orjson
import trio
from mcp.client.streamable_http import MCP_SESSION_ID, streamable_http_client

from gateway import __version__
from gateway.errors import UpstreamError, UpstreamInvalid, UpstreamRejected, UpstreamUnavailable
from gateway.printable import printable
from gateway.profile.units import format_duration, format_size
from gateway.profile.upstreams.mcp import McpUpstream
from gateway.upstream.egress import Resolver, VettedBackend, resolve
from gateway.upstream.failures import broken_off, shown, translated
from gateway.upstream.headers import checked_headers
from gateway.upstream.mcp.model import REJECTED, UNAVAILABLE, WAIT
from gateway.upstream.policies.retry import AskedToWait
from gateway.upstream.retry_after import seconds_to_wait
from gateway.upstream.transport import PoolTransport


@asynccontextmanager
async def open_http_streams(
    name: str, section: McpUpstream, lost: Callable[[], None], *, resolve: Resolver = resolve
) -> AsyncIterator[tuple[Any, Any]]:
    """The server's messages and the way to send some; nothing is sent yet. Leaving the block ends the session.

    `lost` is called when the server does not know the session any more. Redirects are not followed.
    """
    # The SDK leaves the generators of its event streams to the garbage collector, which Trio warns of and then does.
    warnings.filterwarnings("ignore", message="Async generator 'httpx2", category=ResourceWarning)
    headers = checked_headers(name, tuple(section.headers.items()))
    open_pool = partial(
        httpcore2.AsyncConnectionPool,
        ssl_context=await trio.to_thread.run_sync(httpx2.create_ssl_context),
        max_connections=None,  # what has a slot has a connection; `pool.max_connections` bounds the slots
        max_keepalive_connections=section.pool.max_keepalive,
        keepalive_expiry=section.pool.keepalive,
        network_backend=VettedBackend(name, private_addresses=section.private_addresses, resolve=resolve),
    )
    transport = _Transport(name, section, open_pool, lost)
    async with (
        httpx2.AsyncClient(
            transport=transport,
            trust_env=False,
            follow_redirects=False,
            max_redirects=0,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            headers=[
                (b"User-Agent", f"gateway/{__version__}".encode()),
                (b"Accept-Encoding", b"identity"),  # or a small answer could become a large one
                *headers,
            ],
            # An event stream may be silent for long; how long an answer may take is its caller's to say.
            timeout=httpx2.Timeout(None),
        ) as client,
        streamable_http_client(
            section.url or "", http_client=client, max_sse_event_size=section.max_response_size
        ) as streams,
    ):
        yield streams


class _Transport(httpx2.AsyncBaseTransport):
    """Requests over a pool; whatever is no answer of MCP's becomes one that says what happened."""

    def __init__(
        self,
        name: str,
        section: McpUpstream,
        open_pool: Callable[[], httpcore2.AsyncConnectionPool],
        lost: Callable[[], None],
    ) -> None:
        self._name = name
        self._timeout = section.timeout
        self._idle_timeout = section.pool.idle_timeout
        self._limit = section.max_response_size
        self._pool = PoolTransport(open_pool)
        self._lost = lost

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The server's answer; for a message that brought none, one that says why."""
        try:
            if request.method != "POST":
                return await self._sent(request)
            # The SDK does not end the request of a call that was given up: without this, those of a server that hangs
            # would hold every connection.
            with trio.move_on_after(self._timeout):
                return await self._answer(request, await self._sent(request))
            raise UpstreamUnavailable(
                self._name,
                f"no answer within {format_duration(self._timeout)} (upstreams.{self._name}.timeout)",
            )
        except UpstreamError as error:
            if request.method != "POST":  # a stream to listen on, which the SDK opens again for a while
                raise httpx2.ConnectError(error.message) from error
            return _instead(error)

    async def _sent(self, request: httpx2.Request) -> httpx2.Response:
        with translated(self._name, request.url, self._idle_timeout):
            return await self._pool.handle_async_request(request)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()

    async def _answer(self, request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        status, where = response.status_code, shown(request.url)
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            await response.aclose()
            raise UpstreamInvalid(self._name, f"{where} sends a compressed answer, which it was not asked for")
        if status == 200 and kind == "text/event-stream":
            response.stream = _Stream(response.stream)
            return response
        if status == 404 and MCP_SESSION_ID in request.headers:
            await response.aclose()
            self._lost()
            raise UpstreamUnavailable(self._name, "the server has forgotten the session, which is begun anew")
        body = await self._read(request, response)
        if status in (200, 202) and (not body or kind == "application/json"):
            if body and not _is_json(body):
                raise UpstreamInvalid(self._name, "the answer said it was JSON but is not")
            return httpx2.Response(status, headers=response.headers, content=body)
        if status >= 400 and _is_error(body):
            return httpx2.Response(status, headers={"content-type": "application/json"}, content=body)
        phrase = f"{status} {httpx2.codes.get_reason_phrase(status)}".strip()
        if status in (200, 202):
            raise UpstreamInvalid(self._name, f"{where} answered with {printable(kind, 40) or 'no type'}, not JSON")
        if 300 <= status < 400:
            raise UpstreamRejected(self._name, f"{where} answered {phrase}, and redirects are not followed")
        if status == 429 or status >= 500:
            wait = seconds_to_wait(response.headers)
            if wait is not None:
                said = f"{where} answered {phrase}, and to ask again in {format_duration(wait)}"
                raise AskedToWait(self._name, said, float(wait))
            raise UpstreamUnavailable(self._name, f"{where} answered {phrase}")
        raise UpstreamRejected(self._name, f"{where} answered {phrase}")

    async def _read(self, request: httpx2.Request, response: httpx2.Response) -> bytes:
        """The whole body, within the limit."""
        body = bytearray()
        try:
            with broken_off(self._name, request.url, self._idle_timeout):
                async with aclosing(response.stream.__aiter__()) as chunks:  # type: ignore[union-attr, type-var]
                    async for chunk in chunks:
                        body += chunk
                        if len(body) > self._limit:
                            limit = f"{format_size(self._limit)} (upstreams.{self._name}.max_response_size)"
                            raise UpstreamInvalid(self._name, f"the answer is larger than {limit}")
        finally:
            await response.stream.aclose()  # type: ignore[union-attr]
        return bytes(body)


class _Stream(httpx2.AsyncByteStream):
    """The body of an event stream; the SDK bounds each event. When it breaks off, it ends as HTTP clients expect."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async with aclosing(self._stream.__aiter__()) as chunks:
                async for chunk in chunks:
                    yield chunk
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException) as error:
            raise httpx2.ReadError(f"it broke off: {printable(str(error) or type(error).__name__)}") from error

    async def aclose(self) -> None:
        await self._stream.aclose()


def _is_json(body: bytes) -> bool:
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return True


def _is_error(body: bytes) -> bool:
    try:
        return isinstance(types.jsonrpc_message_adapter.validate_json(body, by_name=False), types.JSONRPCError)
    except ValueError:
        return False


def _instead(error: UpstreamError) -> httpx2.Response:
    """An error of JSON-RPC that `failures.translated` makes this one of again, on the other side of the SDK."""
    about: dict[str, Any] = {"code": UNAVAILABLE if isinstance(error, UpstreamUnavailable) else REJECTED}
    about["message"] = error.message
    if isinstance(error, AskedToWait):
        about["data"] = {WAIT: error.seconds}
    body = orjson.dumps({"jsonrpc": "2.0", "id": None, "error": about})
    return httpx2.Response(500, headers={"content-type": "application/json"}, content=body)
