"""From the first message to a gateway that serves: what can be said is, while the rest is imported and opened."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Callable
from contextlib import closing

import trio

from gateway.profile.loader import Loaded
from gateway.serving.stdio.descriptors import Output
from gateway.serving.stdio.desk import Desk
from gateway.serving.stdio.early import Early
from gateway.serving.stdio.greeting import Greeting
from gateway.serving.stdio.lines import Lines

_REST = ("gateway.telemetry.logs", "gateway.assembly", "gateway.serving.sdk.stdio")
"""What takes a second to import."""


async def open_and_serve(
    loaded: Loaded,
    reread: Callable[[], Loaded],
    early: Early,
    greeting: Greeting,
    stdin: int,
    stdout: int,
    stop: trio.Event,
) -> None:
    """Serve one client over two descriptors until it closes `stdin` or `stop` is set, which it is in the end.

    `reread` loads the profile anew from its files, where it says that it is reloaded when they change.

    Requests under way are answered first, for at most `server.drain_timeout`; can be cancelled at any time.
    Raises GatewayError when a descriptor can't be read or written, or the gateway not be opened.
    """
    lines = Lines(stdin, loaded.profile.server.max_body_size, greeting.read)
    with closing(Output(stdout)) as output:
        desk = Desk(early, lines, output, greeted=greeting.answered)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(desk.run, stop)
            nursery.start_soon(_end, lines, stop)
            for module in _REST:
                await trio.to_thread.run_sync(importlib.import_module, module)
            await _serve(loaded, reread, desk, output, stop)
            nursery.cancel_scope.cancel()


async def _serve(loaded: Loaded, reread: Callable[[], Loaded], desk: Desk, output: Output, stop: trio.Event) -> None:
    from gateway.assembly.running import open_running
    from gateway.serving.reloading import Reloader
    from gateway.serving.sdk.stdio import serve_stdio
    from gateway.telemetry.logs import set_up_logging

    set_up_logging(loaded.profile.logging.level, loaded.profile.logging.format)
    async with open_running(loaded) as running, trio.open_nursery() as reloading:
        gc.freeze()  # what serves stays: requests don't wait while garbage is looked for in it
        reloading.start_soon(Reloader(running, reread, stop).run)
        await serve_stdio(running, desk, output, stop)
        reloading.cancel_scope.cancel()


async def _end(lines: Lines, stop: trio.Event) -> None:
    await stop.wait()
    lines.end()
