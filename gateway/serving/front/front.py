"""Accepts connections, watches their deadlines, drains them."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog
import trio

from gateway.profile.serving import Server
from gateway.serving.front.connection import Connection, HandedOver, Phase
from gateway.serving.front.handling import Handling
from gateway.serving.front.poller import Poller
from gateway.serving.front.replies import refusal
from gateway.serving.hypercorn_connections import FIRST, RECENT, Hypercorn
from gateway.telemetry.metrics import Counts

log = structlog.get_logger(__name__)

_LATE = {
    Phase.HEAD: refusal(408, "The head of the request took too long (server.connections.header_timeout)\n"),
    Phase.BODY: refusal(408, "The body of the request took too long (server.connections.body_timeout)\n"),
}
_WATCH = 1.0
"""Seconds between two looks at the deadlines: they end connections so much later at most."""
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_AT_ONCE = 64
"""Connections that are accepted in one turn at most: the turns of those that are open may be long."""
_PAUSE = 0.1
"""Seconds to wait when the system has nothing left for another connection."""


class Front:
    """Serves MCP on listening sockets until it is told to stop."""

    def __init__(self, handling: Handling, hypercorn: Hypercorn, counts: Counts, poller: Poller | None) -> None:
        """Without a poller each connection waits by itself."""
        self.handling = handling
        """What requests are answered with, from the next one on."""
        self.hypercorn = hypercorn
        self._counts = counts
        self._poller = poller
        self._open: set[Connection] = set()
        self._draining = False
        self._room = trio.CapacityLimiter(handling.section.connections.max)
        self._accepting: dict[socket.socket, trio.CancelScope] = {}
        self._acceptors: trio.Nursery
        self._connections: trio.Nursery

    def use(self, handling: Handling) -> None:
        """Answer with this from the next request on, also on connections that are open."""
        self.handling = handling
        self._room.total_tokens = handling.section.connections.max

    async def serve(
        self,
        listening: Sequence[socket.socket],
        stop: trio.Event,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until `stop` is set, then answer what is under way for at most `server.drain_timeout`."""
        async with trio.open_nursery() as nursery:
            if self._poller is not None:
                nursery.start_soon(self._poller.run)
            nursery.start_soon(self._watch_deadlines)
            async with trio.open_nursery() as self._connections:
                async with trio.open_nursery() as self._acceptors:
                    self.listen(listening)
                    task_status.started()
                    await stop.wait()
                    self._acceptors.cancel_scope.cancel()
                self._draining = True
                self._connections.cancel_scope.deadline = trio.current_time() + self.handling.section.drain_timeout
                for sock in list(self._accepting):
                    self._leave(sock)
                await self.hypercorn.drain()
                self._drain()
                nursery.start_soon(self._end_idle)
            nursery.cancel_scope.cancel()

    def listen(self, listening: Sequence[socket.socket]) -> None:
        """Accept connections on these from now on, and on no others; those that are left are closed.

        Connections stay, and so do those that the system has accepted already.
        """
        for sock in [each for each in self._accepting if each not in listening]:
            self._accepting[sock].cancel()
            self._leave(sock)
        for sock in listening:
            if sock not in self._accepting:
                sock.setblocking(False)
                self._accepting[sock] = trio.CancelScope()
                self._acceptors.start_soon(self._accept, sock)

    def _leave(self, sock: socket.socket) -> None:
        """Accept the connections that the system has accepted already: their clients know nothing of the end."""
        del self._accepting[sock]
        try:
            while True:
                self._accept_one(sock)
        except (OSError, trio.WouldBlock):
            sock.close()

    def _accept_one(self, listening: socket.socket) -> None:
        """Serve a connection that waits; raises WouldBlock where there is no room, OSError where there is none."""
        place = object()
        self._room.acquire_on_behalf_of_nowait(place)
        try:
            sock, peer = self._open_one(listening)
        except BaseException:
            self._room.release_on_behalf_of(place)
            raise
        self._connections.start_soon(self._serve, sock, peer, place)

    async def _accept(self, listening: socket.socket) -> None:
        with self._accepting[listening]:
            while True:
                await trio.lowlevel.wait_readable(listening)
                place = object()
                await self._room.acquire_on_behalf_of(place)  # not before: another socket would have to do without
                try:
                    sock, peer = self._open_one(listening)
                except OSError as error:
                    self._room.release_on_behalf_of(place)
                    await self._wait_after(error)
                    continue
                self._connections.start_soon(self._serve, sock, peer, place)
                with suppress(OSError, trio.WouldBlock):  # the next round finds out why
                    for _ in range(_AT_ONCE):
                        self._accept_one(listening)

    def _open_one(self, listening: socket.socket) -> tuple[socket.socket, str]:
        """A connection that waits, and its client's address; raises OSError, BlockingIOError where there is none."""
        sock, address = listening.accept()
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock, address[0] if isinstance(address, tuple) else ""

    async def _wait_after(self, error: OSError) -> None:
        """Wait for as long as it makes sense to before the next try to accept; raises `error` where there is none."""
        if isinstance(error, BlockingIOError | ConnectionAbortedError):
            return
        if error.errno not in _EXHAUSTED:
            raise error
        log.warning("a connection can't be accepted", error=error.strerror)
        await trio.sleep(_PAUSE)

    async def _serve(self, sock: socket.socket, peer: str, place: object) -> None:
        """One connection, which is closed in the end; nothing that happens on it reaches the others."""
        connection = Connection(sock, peer, self, self._poller)
        self._open.add(connection)
        self._counts.add("opened")
        connection.draining = self._draining
        try:
            await connection.serve()
        except HandedOver as handed:
            self._open.discard(connection)
            self._counts.add("handed_over")
            connection.leave()
            await self.hypercorn.serve(trio.SocketStream(trio.socket.from_stdlib_socket(sock)), handed.read)
        except (OSError, trio.ClosedResourceError):
            pass  # the client is gone, or was late
        except Exception:
            log.exception("a connection failed")
        finally:
            self._open.discard(connection)
            connection.close()
            self._room.release_on_behalf_of(place)
            self._counts.add("closed")

    async def _watch_deadlines(self) -> None:
        while True:
            await trio.sleep(_WATCH)
            now, limits = trio.current_time(), _limits(self.handling.section)
            for connection in [each for each in self._open if now - each.since > limits[each.phase]]:
                self._counts.add("timed_out")
                with suppress(OSError):
                    if connection.phase in _LATE:
                        connection.sock.send(_LATE[connection.phase])
                self._end(connection)

    def _drain(self) -> None:
        """Let each connection end with the request that it is at; those that were at none for a while are closed."""
        now = trio.current_time()
        for connection in self._open:
            connection.draining = True
        self._end_those(lambda connection: connection.asked and now - connection.since > RECENT)

    async def _end_idle(self) -> None:
        """Close the connections that the drain has left open, and on which nothing more was asked."""
        await trio.sleep(RECENT)
        self._end_those(lambda connection: connection.asked)
        await trio.sleep(FIRST - RECENT)
        self._end_those(lambda _: True)

    def _end_those(self, which: Callable[[Connection], bool]) -> None:
        for connection in list(self._open):
            if connection.phase is Phase.IDLE and which(connection) and not connection.has_more:
                self._end(connection)

    def _end(self, connection: Connection) -> None:
        self._open.discard(connection)
        connection.close()


def _limits(section: Server) -> dict[Phase, float]:
    """For how many seconds a connection may be in a phase."""
    limits = section.connections
    return {
        Phase.IDLE: limits.idle_timeout,
        Phase.HEAD: limits.header_timeout,
        Phase.BODY: limits.body_timeout,
        Phase.ANSWERING: float("inf"),
        Phase.WRITING: limits.body_timeout,
    }
