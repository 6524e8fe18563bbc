"""An application on sockets of its own, served by hypercorn: accepted, drained, and moved to other sockets."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from itertools import chain
from typing import cast

import trio
from hypercorn.config import Config
from hypercorn.typing import ASGIFramework

from gateway.serving.hypercorn_connections import Hypercorn
from gateway.serving.switch import Switch


class HypercornSite:
    """Serves `app` until `stop` is set. `run` is the service; `config` is what holds for what it listens on next."""

    def __init__(self, app: Switch, config: Config, stop: trio.Event) -> None:
        self.config = config
        self._app = cast("ASGIFramework", app)
        self._stop = stop
        self._over = trio.Event()
        self._servers: trio.Nursery

    async def run(
        self, sockets: Sequence[socket.socket], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve on these sockets; once `stop` is set, close them and finish what is under way."""
        async with trio.open_nursery() as self._servers:
            if sockets:
                await self._servers.start(self._serve, sockets, self._over)
            task_status.started()
            await self._stop.wait()

    def listen(self, sockets: Sequence[socket.socket]) -> None:
        """Serve on these from now on, and finish what is under way on those before."""
        self._over.set()
        self._over = trio.Event()
        if sockets:
            self._servers.start_soon(self._serve, sockets, self._over)

    async def _serve(
        self,
        sockets: Sequence[socket.socket],
        over: trio.Event,
        *,
        task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        config = self.config
        hypercorn = Hypercorn(self._app, config)
        async with trio.open_nursery() as connections:
            with ExitStack() as stack:
                for sock in sockets:
                    sock.setblocking(False)
                # Of their own: these are closed with the last of what listens there.
                left = [stack.enter_context(sock.dup()) for sock in sockets]
                listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(sock.dup())) for sock in sockets]
                async with trio.open_nursery() as accepting:
                    accept = partial(trio.serve_listeners, hypercorn.serve, listeners, handler_nursery=connections)
                    await accepting.start(accept)
                    task_status.started()
                    await wait_any(self._stop, over)
                    accepting.cancel_scope.cancel()
                for stream in chain.from_iterable(map(_accepted, left)):
                    connections.start_soon(hypercorn.serve, stream)
            if self._stop.is_set():  # who connects from now on is refused, and does not wait for nothing
                for sock in sockets:
                    sock.close()
            await hypercorn.drain()
            connections.cancel_scope.deadline = trio.current_time() + config.graceful_timeout


def _accepted(listening: socket.socket) -> Iterator[trio.SocketStream]:
    """The connections that the system has accepted already: their clients know nothing of the end."""
    with suppress(OSError):
        while True:
            with suppress(ConnectionAbortedError):
                yield trio.SocketStream(trio.socket.from_stdlib_socket(listening.accept()[0]))


def quiet_config() -> Config:
    """Hypercorn's configuration, with its errors in our log and nothing said of itself."""
    config = Config()
    config.include_server_header = False
    config.errorlog = logging.getLogger("hypercorn.error")
    config.accesslog = None
    return config


async def wait_any(*events: trio.Event) -> None:
    """Wait until one of the events is set."""
    async with trio.open_nursery() as nursery:

        async def cancel_at(event: trio.Event) -> None:
            await event.wait()
            nursery.cancel_scope.cancel()

        for event in events:
            nursery.start_soon(cancel_at, event)
