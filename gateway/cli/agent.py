"""`gateway stdio` as agents start it: the first answer comes before the slow imports, Trio and cyclopts among them."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial

from gateway.errors import StartError
from gateway.profile.loader import Loaded, load_profile
from gateway.serving.stdio.early import Early
from gateway.serving.stdio.greeting import Greeting, greet, protocol_stdout

_STOPPING = {signal.SIGTERM, signal.SIGINT}


def serve_agent(name: str, overrides: Sequence[str]) -> int:
    """Serve MCP over stdin and stdout until stdin closes, or SIGTERM or SIGINT; raises GatewayError."""
    if sys.stdin is None:
        raise StartError("stdin has to be open: it is where the client's messages come from")
    loaded = load_profile(name, environ=os.environ, overrides=overrides)
    early = Early(loaded.profile)
    # From the first answer on it is up, so a signal ends it well: it is held back until there is who heeds it.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    with protocol_stdout() as stdout:
        greeting = greet(early, 0, stdout)
        from gateway.cli.run import run

        reread = partial(load_profile, name, environ=dict(os.environ), overrides=overrides)
        return run(partial(_serve, loaded, reread, early, greeting, stdout))


async def _serve(loaded: Loaded, reread: Callable[[], Loaded], early: Early, greeting: Greeting, stdout: int) -> int:
    import trio

    from gateway.cli.run import stop_on_signal
    from gateway.serving.stdio.opening import open_and_serve

    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(stop_on_signal, stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
        await open_and_serve(loaded, reread, early, greeting, 0, stdout, stop)
        nursery.cancel_scope.cancel()
    return 0
