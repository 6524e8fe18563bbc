"""Connections on which more has arrived than an answer: they are not used again.

What is left would be taken for the answer to the next request, whatever it is: a wrong Content-Length, a body where
there may be none, an answer that is sent twice. httpcore2 closes an idle connection on which something arrives, but
does not look at what has arrived along with the end of the last answer.
"""

from __future__ import annotations

import ssl
from typing import Any

import httpcore2


class Connection(httpcore2.AsyncNetworkStream):
    """A network stream that can be given up: the pool closes it then, instead of using it again."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream) -> None:
        self._stream = stream
        self._given_up = False

    def give_up(self) -> None:
        """Not to be used for another request."""
        self._given_up = True

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Some bytes, b"" at the end."""
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of it."""
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close it."""
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> Connection:
        """The same connection, encrypted."""
        return Connection(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        """As the stream below; one that is given up is readable, the pool's sign to close it when it is idle."""
        return True if info == "is_readable" and self._given_up else self._stream.get_extra_info(info)


def give_up_on_excess(body: Any, network_stream: Any) -> None:
    """Give up the connection of an answer whose `body` was read, if more than that has arrived.

    Only h11 knows, below httpcore2's two streams, neither of which says; a later httpcore2 without these attributes
    fails the tests of this module, and not a request.
    """
    connection = getattr(getattr(body, "_stream", None), "_connection", None)
    state = getattr(connection, "_h11_state", None)
    if state is not None and state.trailing_data[0] and isinstance(network_stream, Connection):
        network_stream.give_up()
