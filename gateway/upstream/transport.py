"""The connection pool under the HTTP client, on a network that is ours.

httpx2's own transport takes no network backend, so this one hands requests to httpcore2's pool itself. It leaves
exceptions as httpcore2 raises them: `failures` maps those, once.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import aclosing
from typing import cast

import httpcore2
import httpx2


class _Body(httpx2.AsyncByteStream):
    def __init__(self, stream: AsyncIterable[bytes]) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        iterator = self._stream.__aiter__()
        async with aclosing(iterator):  # type: ignore[type-var]  # httpcore2 declares an iterator, but it is a generator
            async for chunk in iterator:
                yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()  # type: ignore[attr-defined]  # declared as an iterable, but it is a stream


class PoolTransport(httpx2.AsyncBaseTransport):
    """Sends the requests of an `httpx2.AsyncClient` over `pool`, whose owner opens and closes it."""

    def __init__(self, pool: httpcore2.AsyncConnectionPool) -> None:
        self._pool = pool

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """One answer, its body unread. Raises httpcore2's exceptions."""
        answer = await self._pool.handle_async_request(
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
            stream=_Body(cast("AsyncIterable[bytes]", answer.stream)),
            extensions=answer.extensions,
        )
