"""The connection pools under the HTTP client, on a network that is ours.

httpx2's own transport takes no network backend, so this one hands requests to httpcore2's pool itself. It leaves
exceptions as httpcore2 raises them: `failures` maps those, once.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing
from typing import cast

import httpcore2
import httpx2

from gateway.upstream.excess import give_up_on_excess


class _Body(httpx2.AsyncByteStream):
    def __init__(self, stream: AsyncIterable[bytes], network_stream: object) -> None:
        self._stream = stream
        self._network_stream = network_stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        iterator = self._stream.__aiter__()
        async with aclosing(iterator):  # type: ignore[type-var]  # httpcore2 declares an iterator, but it is a generator
            async for chunk in iterator:
                yield chunk

    async def aclose(self) -> None:
        give_up_on_excess(self._stream, self._network_stream)
        await self._stream.aclose()  # type: ignore[attr-defined]  # declared as an iterable, but it is a stream


class PoolTransport(httpx2.AsyncBaseTransport):
    """Sends the requests of httpx2, over a pool of its own for each host; `open_pool` makes one.

    The hosts of an upstream are those that its profile names, so there are few. Closing it closes every connection.
    """

    def __init__(self, open_pool: Callable[[], httpcore2.AsyncConnectionPool]) -> None:
        self._open_pool = open_pool
        self._pools: dict[tuple[str, str, int | None], httpcore2.AsyncConnectionPool] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """One answer, its body unread. Raises httpcore2's exceptions."""
        host = request.url.scheme, request.url.host, request.url.port
        if host not in self._pools:
            self._pools[host] = self._open_pool()
        answer = await self._pools[host].handle_async_request(
            httpcore2.Request(
                method=request.method,
                url=httpcore2.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx2.Response(
            status_code=answer.status,
            headers=answer.headers,
            stream=_Body(cast("AsyncIterable[bytes]", answer.stream), answer.extensions.get("network_stream")),
            extensions=answer.extensions,
        )

    async def aclose(self) -> None:
        """Close every pool; those that are left when one fails or it is cancelled are closed as well."""
        async with AsyncExitStack() as stack:
            for pool in self._pools.values():
                stack.push_async_callback(pool.aclose)
