"""An application on sockets of its own, served by hypercorn."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from functools import partial
from typing import cast

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope

from gateway.serving.switch import Switch


class HypercornSite:
    """Serves `app` until `stop` is set. `run` is the service; `config` is what holds for what it listens on next."""

    def __init__(self, app: Switch, config: Config, stop: trio.Event) -> None:
        self.config = config
        self._app = until_gone(cast("ASGIFramework", app))
        self._stop = stop
        self._over = trio.Event()
        self._servers: trio.Nursery

    async def run(
        self, sockets: Sequence[socket.socket], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve on these sockets, which stay open; once `stop` is set, finish what is under way."""
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
        config.bind = [f"fd://{sock.dup().detach()}" for sock in sockets]  # hypercorn closes what it is given
        run = partial(serve, self._app, config, shutdown_trigger=partial(wait_any, self._stop, over), mode="asgi")
        await run(task_status=task_status)


def quiet_config() -> Config:
    """Hypercorn's configuration, with its errors in our log and nothing said of itself."""
    config = Config()
    config.include_server_header = False
    config.errorlog = logging.getLogger("hypercorn.error")
    config.accesslog = None
    return config


def until_gone(app: ASGIFramework) -> ASGIFramework:
    """`app`, whose answer ends quietly where its client goes meanwhile or breaks the protocol.

    Hypercorn's reader closes the connection then; whoever sends in that moment is told that another task is sending
    (hypercorn 0.18, trio's SocketStream.send_eof), and not, as in the next, nothing.
    """

    async def serve_until_gone(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        gone = False

        async def sending(event: ASGISendEvent) -> None:
            nonlocal gone
            if not gone:
                try:
                    await send(event)
                except trio.BusyResourceError:
                    gone = True

        await app(scope, receive, sending)

    return cast("ASGIFramework", serve_until_gone)


async def wait_any(*events: trio.Event) -> None:
    """Wait until one of the events is set."""
    async with trio.open_nursery() as nursery:

        async def cancel_at(event: trio.Event) -> None:
            await event.wait()
            nursery.cancel_scope.cancel()

        for event in events:
            nursery.start_soon(cancel_at, event)
