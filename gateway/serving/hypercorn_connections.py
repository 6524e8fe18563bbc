"""Hypercorn for single connections: those of a site's sockets, and those that the front does not answer itself."""

from __future__ import annotations

from typing import Any, cast

import structlog
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Event
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework

log = structlog.get_logger(__name__)

FIRST = 2.0
"""Seconds that a client has for its first request when the end comes: it may have connected a moment before."""
RECENT = 0.5
"""Seconds that a client has for its next request then, if it was answered no longer ago: it may be on its way."""
_QUIET = 3
"""Turns of the event loop in a row in which nothing was read, after which what was read before is no request."""
_TURNS = 24
"""...and after so many it is none that hypercorn reads."""


class Hypercorn:
    """Serves connections with an ASGI application, also from where they have been read to."""

    def __init__(self, app: ASGIFramework, config: Config) -> None:
        self._app = ASGIWrapper(app)
        self.config = config
        """What holds for the next connections."""
        self._context = WorkerContext(None)

    async def serve(self, stream: trio.SocketStream, read: bytes = b"") -> None:
        """Serve until the connection is closed, which this does in the end; `read` is what was read from it already.

        What fails on it is logged, and ends no other connection.
        """
        try:
            await _Server(self._app, self.config, self._context, _Stream(stream, read))
        except Exception:
            log.exception("a connection failed")

    async def drain(self) -> None:
        """Close connections as they get idle, a moment after their last request."""
        await self._context.terminated.set()


class _Server(TCPServer):
    """A connection that is closed when it is idle for long, or in a drain, and not with a request that has begun."""

    def __init__(self, app: ASGIWrapper, config: Config, context: WorkerContext, stream: _Stream) -> None:
        super().__init__(app, config, context, {}, cast("trio.SSLStream[trio.SocketStream]", stream))
        self._bytes = stream
        self._asked = False
        self._http2: H2Protocol | None = None

    async def protocol_send(self, event: Event) -> None:
        await super().protocol_send(event)
        if self._http2 is None and isinstance(self.protocol.protocol, H2Protocol):
            # What HTTP/1.1 took for a request is the beginning of HTTP/2, and that is idle.
            self._http2 = self.protocol.protocol
            await self.idle_task.restart(self._task_group, self._idle_timeout)

    async def _read_data(self) -> None:
        """Handle what comes until the client has gone, or the time of a drain is over: nothing more is sent then."""
        try:
            await super()._read_data()
            await self.idle_task.stop()
        except trio.Cancelled:
            self._bytes.socket.close()  # which ends what is being sent, shielded, to a client that reads nothing
            raise
        finally:
            if self._http2 is not None:  # an answer under way would wait for ever for what it has put there to be sent
                for buffer in list(self._http2.stream_buffers.values()):
                    await buffer.close()

    async def _idle_timeout(self) -> None:
        """Close the connection once it is idle: hypercorn starts this when it may be, and cancels it at a request.

        Its own closes at once when the drain begins, also where a request was read in the same moment.
        """
        last_request = trio.current_time() + (RECENT if self._asked else FIRST)
        self._asked = True
        await self._bytes.replayed.wait()
        with trio.move_on_after(self.config.keep_alive_timeout):
            await self.context.terminated.wait()
            if self._http2 is None:  # which refuses requests by now; on another connection they are answered
                await trio.sleep_until(last_request)
        await self._wait_quiet()
        if self._http2 is None or self._http2.idle:
            with trio.CancelScope(shield=True):
                await self._initiate_server_close()

    async def _wait_quiet(self) -> None:
        quiet, reads = 0, self._bytes.reads
        for _ in range(_TURNS):
            await trio.lowlevel.checkpoint()
            quiet = 0 if self._bytes.has_more or self._bytes.reads != reads else quiet + 1
            reads = self._bytes.reads
            if quiet == _QUIET:
                break


class _Stream:
    """A connection whose first bytes may have been read before; what hypercorn uses of a stream."""

    def __init__(self, stream: trio.SocketStream, read: bytes) -> None:
        self._stream = stream
        self.socket = stream.socket
        self._read = read
        self.reads = 0
        """How often something was read, the end included."""
        self.replayed = trio.Event()
        """Set when hypercorn asks for more than what was read."""

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        if self._read:
            await trio.lowlevel.checkpoint()
            data, self._read = self._read[:max_bytes], self._read[max_bytes:] if max_bytes is not None else b""
            return data
        self.replayed.set()
        data = await self._stream.receive_some(max_bytes)
        self.reads += 1
        return data

    @property
    def has_more(self) -> bool:
        """Whether something is there that was not read yet."""
        return self.socket.fileno() >= 0 and self.socket.is_readable()

    async def send_all(self, data: bytes) -> None:
        """Send; ClosedResourceError also while the connection is being closed, which hypercorn takes for what it is.

        A connection has an application that answers and a reader that answers what is wrong. Each closes it when it is
        done, and hypercorn (0.18) does not expect that the other one sends in that moment: then trio says "busy", which
        would end the server.
        """
        try:
            await self._stream.send_all(data)
        except trio.BusyResourceError:
            raise trio.ClosedResourceError("it is being closed") from None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
