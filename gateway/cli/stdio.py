"""`gateway stdio`: MCP over stdin and stdout, for a local agent."""

from __future__ import annotations

import signal
from functools import partial

import trio

from gateway.assembly import open_gateway
from gateway.cli.options import Overrides, ProfileName
from gateway.cli.run import load, run
from gateway.profile.loader import Loaded


def stdio(*, profile: ProfileName = "development", set_: Overrides = ()) -> int:
    """Serve MCP over stdin and stdout until stdin closes, or SIGTERM or SIGINT."""
    return run(partial(_stdio, load(profile, set_)))


async def _stdio(loaded: Loaded) -> int:
    from gateway.serving.stdio import protocol_stdout, serve_stdio

    with protocol_stdout() as stdout:
        async with trio.open_nursery() as nursery:
            await nursery.start(_cancel_on_signal, nursery.cancel_scope)
            async with open_gateway(loaded.profile) as gateway:
                await serve_stdio(gateway, 0, stdout)
            nursery.cancel_scope.cancel()
    return 0


async def _cancel_on_signal(
    scope: trio.CancelScope, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for _ in signals:
            scope.cancel()
