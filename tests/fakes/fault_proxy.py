"""A TCP proxy on loopback that treats connections as badly as a test wants."""

from __future__ import annotations

import re
from contextlib import suppress

import trio

from tests.fakes import faults
from tests.fakes.faults import GONE, Fault, Link


class FaultProxy:
    """Stands before a server on 127.0.0.1; run by `serve`. What it counts as a request are matches of `request`."""

    def __init__(self, server_port: int, request: bytes = rb" HTTP/1\.1\r\n") -> None:
        self.port = 0
        """Known when `serve` has started."""
        self.requests = 0
        """What clients have sent, whatever became of it."""
        self._request = re.compile(request)
        self._server_port = server_port
        self._fault: Fault | None = faults.none
        self._changed = trio.Event()
        self._settled = trio.Event()

    async def set(self, fault: Fault | None) -> None:
        """From now on this happens, also to connections that are open. None: they end, and nothing listens."""
        self._fault, self._settled = fault, trio.Event()
        changed, self._changed = self._changed, trio.Event()
        changed.set()
        await self._settled.wait()

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Accept and carry until cancelled."""
        with trio.socket.socket() as reserved:  # bound, not listening: nobody else gets the port while it is down
            # Not SO_REUSEADDR: with it, a server of another test that asks for any port may be given this one.
            reserved.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_REUSEPORT, 1)
            await reserved.bind(("127.0.0.1", 0))
            self.port = reserved.getsockname()[1]
            task_status.started()
            while True:
                await self._until(up=True)
                listening = trio.socket.socket()
                listening.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_REUSEPORT, 1)
                await listening.bind(("127.0.0.1", self.port))
                listening.listen()
                listeners = [trio.SocketListener(listening)]
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._accept, listeners)
                    await self._until(up=False)
                    nursery.cancel_scope.cancel()

    async def _until(self, *, up: bool) -> None:
        """Wait until it is to listen, or not to any more."""
        while (self._fault is not None) is not up:
            self._settled.set()
            await self._changed.wait()

    async def _accept(self, listeners: list[trio.SocketListener]) -> None:
        try:
            await trio.serve_listeners(self._connection, listeners)
        finally:
            for listener in listeners:
                listener.socket.close()

    async def _connection(self, client: trio.SocketStream) -> None:
        with suppress(ExceptionGroup, *GONE):  # a connection that breaks is what this is for
            server = await trio.open_tcp_stream("127.0.0.1", self._server_port)
            async with client, server:
                link = Link(client, server, self._sent)
                while self._fault is not None and not await self._carried(self._fault, link):
                    pass  # another fault goes on with it

    async def _carried(self, fault: Fault, link: Link) -> bool:
        """Whether the connection has ended, before the fault was another one."""
        ended, changed = False, self._changed

        async def carry() -> None:
            nonlocal ended
            await fault(link)
            ended = True
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(carry)
            await changed.wait()
            nursery.cancel_scope.cancel()
        return ended

    def _sent(self, data: bytes) -> None:
        self.requests += len(self._request.findall(data))
