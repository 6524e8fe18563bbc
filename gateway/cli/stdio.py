"""`gateway stdio`: MCP over stdin and stdout, for a local agent."""

from __future__ import annotations

import sys
from functools import partial

import trio

from gateway.assembly import open_gateway
from gateway.cli.options import DEFAULT_PROFILE, Overrides, ProfileName
from gateway.cli.run import load, run, stop_on_signal
from gateway.errors import StartError
from gateway.profile.loader import Loaded


def stdio(*, profile: ProfileName = DEFAULT_PROFILE, set_: Overrides = ()) -> int:
    """Serve MCP over stdin and stdout until stdin closes, or SIGTERM or SIGINT."""
    if sys.stdin is None:
        raise StartError("stdin has to be open: it is where the client's messages come from")
    return run(partial(_stdio, load(profile, set_)))


async def _stdio(loaded: Loaded) -> int:
    from gateway.serving.stdio import protocol_stdout, serve_stdio

    stop = trio.Event()
    with protocol_stdout() as stdout:
        async with trio.open_nursery() as nursery:
            await nursery.start(stop_on_signal, stop)
            async with open_gateway(loaded.profile) as gateway:
                await serve_stdio(gateway, 0, stdout, stop)
            nursery.cancel_scope.cancel()
    return 0
