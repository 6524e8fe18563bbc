"""The SDK's side of stdio: the server that answers what the desk passes on."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, cast

import structlog
import trio
from mcp.server.stdio import stdio_server

from gateway.serving.direct.answers import Answers
from gateway.serving.sdk.notify import Notifier
from gateway.serving.sdk.server import build_server
from gateway.serving.sdk.under_way import UnderWay
from gateway.serving.stdio.descriptors import Output
from gateway.serving.stdio.desk import Desk

if TYPE_CHECKING:
    import anyio

    from gateway.assembly import Gateway
    from gateway.assembly.running import Commit, Running

log = structlog.get_logger(__name__)


async def serve_stdio(running: Running, desk: Desk, output: Output, stop: trio.Event) -> None:
    """Serve what `desk` passes on until it ends; once `stop` is set, for at most `server.drain_timeout`.

    Requests under way are answered first; can be cancelled at any time.
    Raises GatewayError when the output can't be written.
    """
    gateway = running.gateway
    section = gateway.profile.server
    notifier = Notifier(gateway.changes, gateway.catalogue)
    server = build_server(gateway, notifier, remembers=True)
    under_way = UnderWay(at_end=notifier.close)
    async with trio.open_nursery() as nursery:
        await nursery.start(notifier.run)
        nursery.start_soon(_give_up, stop, section.drain_timeout, nursery.cancel_scope)
        if section.front:
            desk.answers = Answers(gateway)

        async def prepare(gateway: Gateway) -> Commit:
            """What the client was told of the server at first stays; what it can ask for is another gateway's."""
            answers = Answers(gateway) if section.front else None

            def commit() -> None:
                server.use(gateway)
                desk.use(gateway.profile, answers)

            return commit

        running.prepare = prepare
        lines = cast("anyio.AsyncFile[str]", _texts(desk.incoming))
        out = cast("anyio.AsyncFile[str]", _Out(output))
        async with stdio_server(lines, out) as (incoming, outgoing):
            await server.run(
                under_way.reading(incoming),
                under_way.writing(outgoing, desk.answered),
                server.create_initialization_options(),
            )
        nursery.cancel_scope.cancel()


async def _give_up(stop: trio.Event, patience: float, scope: trio.CancelScope) -> None:
    await stop.wait()
    await trio.sleep(patience)
    log.warning("requests under way were cut off", key="server.drain_timeout")
    scope.cancel()


async def _texts(lines: trio.MemoryReceiveChannel[bytes]) -> AsyncGenerator[str, None]:
    """Each line as text; what is no UTF-8 is replaced, and then no valid message."""
    async for line in lines:
        yield line.decode("utf-8", "replace")


class _Out:
    """Writes whole texts."""

    def __init__(self, output: Output) -> None:
        self._output = output

    async def write(self, text: str) -> None:
        await self._output.write(text.encode())

    async def flush(self) -> None:
        await trio.lowlevel.checkpoint()
