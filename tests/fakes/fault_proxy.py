"""A TCP proxy on loopback that treats connections as badly as a test wants."""

from __future__ import annotations

from contextlib import suppress

import trio

from tests.fakes import faults
from tests.fakes.faults import GONE, Fault, Link


class FaultProxy:
    """Stands before a server on 127.0.0.1; run by `serve`."""

    def __init__(self, server_port: int) -> None:
        self.port = 0
        """Known when `serve` has started."""
        self.requests = 0
        """HTTP/1.1 requests that clients have sent, whatever became of them."""
        self.connections = 0
        self._server_port = server_port
        self._fault: Fault | None = faults.none
        self._changed = trio.Event()
        self._settled = trio.Event()

    async def set(self, fault: Fault | None) -> None:
        """From now on this happens, to new connections; those of before end. None: nothing listens at all."""
        self._fault, self._settled = fault, trio.Event()
        self._changed.set()
        await self._settled.wait()

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Accept and carry until cancelled."""
        with trio.socket.socket() as reserved:  # bound, not listening: nobody else gets the port while it is down
            reserved.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_REUSEADDR, 1)
            await reserved.bind(("127.0.0.1", 0))
            self.port = reserved.getsockname()[1]
            task_status.started()
            while True:
                self._changed = trio.Event()
                async with trio.open_nursery() as nursery:
                    if self._fault is not None:
                        listeners = await trio.open_tcp_listeners(self.port, host="127.0.0.1")
                        nursery.start_soon(self._accept, listeners, self._fault)
                    self._settled.set()
                    await self._changed.wait()
                    nursery.cancel_scope.cancel()

    async def _accept(self, listeners: list[trio.SocketListener], fault: Fault) -> None:
        async def handle(client: trio.SocketStream) -> None:
            self.connections += 1
            with suppress(ExceptionGroup, *GONE):  # a connection that breaks is what this is for
                server = await trio.open_tcp_stream("127.0.0.1", self._server_port)
                async with client, server:
                    await fault(Link(client, server, self._sent))

        try:
            await trio.serve_listeners(handle, listeners)
        finally:
            for listener in listeners:
                listener.socket.close()

    def _sent(self, data: bytes) -> None:
        self.requests += data.count(b" HTTP/1.1\r\n")
