"""`gateway serve`: MCP over streamable HTTP, until it is told to stop."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import orjson
import trio

from gateway.cli.options import DEFAULT_PROFILE, Overrides, ProfileName
from gateway.cli.run import load, run, stop_on_signal
from gateway.profile.loader import Loaded, load_profile
from gateway.profile.units import format_size

if TYPE_CHECKING:
    from gateway.assembly import Gateway
    from gateway.serving.http import HttpServing
    from gateway.serving.systemd.passed import Passed
    from gateway.serving.systemd.supervisor import Supervisor


def serve(*, profile: ProfileName = DEFAULT_PROFILE, set_: Overrides = ()) -> int:
    """Serve MCP over HTTP, and the admin site, until SIGTERM or SIGINT; SIGHUP reloads the profile."""
    from gateway.serving.systemd.passed import close_all, take_passed
    from gateway.serving.systemd.supervisor import Supervisor

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})  # until there is who heeds it: it would end the process
    reread = partial(load_profile, profile, environ=dict(os.environ), overrides=set_)
    loaded = load(profile, set_)
    supervisor = Supervisor.taken_from(os.environ)
    passed = take_passed(os.environ)
    try:
        return run(partial(_serve, loaded, reread, supervisor, passed))
    finally:
        close_all(passed)


async def _serve(loaded: Loaded, reread: Callable[[], Loaded], supervisor: Supervisor, passed: Sequence[Passed]) -> int:
    # Imported here: the SDK takes a second to import, and faults of the profile need not wait for it.
    from gateway.assembly.running import open_running
    from gateway.serving.http import HttpServing
    from gateway.serving.listening import listen
    from gateway.serving.reloading import Reloader
    from gateway.serving.systemd.supervising import supervise

    stop = trio.Event()
    with trio.open_signal_receiver(signal.SIGHUP) as hangups:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        async with trio.open_nursery() as nursery:
            await nursery.start(stop_on_signal, stop)
            async with open_running(loaded) as running:
                reloader = Reloader(running, reread, stop)
                serving = HttpServing(running, listen(loaded.profile, passed), stop, reloader, passed)
                async with trio.open_nursery() as serves:
                    await serves.start(serving.run)
                    mcp, admin = serving.listening.mcp_addresses, serving.listening.admin_addresses
                    sys.stderr.write(_greeting(loaded, running.gateway, mcp, admin))
                    sys.stderr.flush()
                    address = partial(_address, serving)
                    await nursery.start(supervise, supervisor, running, reloader, address, stop)
                    nursery.start_soon(reloader.run, hangups)
            nursery.cancel_scope.cancel()
    return 0


def _address(serving: HttpServing) -> str:
    return serving.listening.mcp_addresses[0]


def _greeting(loaded: Loaded, gateway: Gateway, mcp: list[str], admin: list[str]) -> str:
    """What was started, from what, and what to paste into a client."""
    from gateway.serving.hosts import reachable

    section = loaded.profile.server
    paths = [address for address in mcp if address.startswith("unix:")]
    urls = [f"http://{reachable(address)}{section.path}" for address in mcp if address not in paths]
    client = {"mcpServers": {section.name: {"type": "http", "url": urls[0]}}} if urls else None
    lines = [
        f"gateway: {section.title or section.name} at {' '.join([*urls, *paths])}",
        f"  profile   {loaded.name}, from {', '.join(str(file) for file in loaded.files)}",
        f"  tools     {', '.join(tool['name'] for tool in gateway.catalogue.definitions) or 'none'}",
        f"  tiers     {_tiers(gateway)}",
    ]
    if admin:
        at = (address if address.startswith("unix:") else f"http://{reachable(address)}" for address in admin)
        lines.append(f"  admin     {' '.join(at)} (/healthz, /readyz)")
    lines.append(
        f"  client    {orjson.dumps(client).decode() if client is not None else 'none: it has to know the socket'}"
    )
    return "\n".join(lines) + "\n"


def _tiers(gateway: Gateway) -> str:
    cache = gateway.profile.cache
    about = {"memory": f"memory ({format_size(cache.memory.max_size)})", "disk": f"disk ({cache.disk.path})"}
    about["shared"] = f"shared ({cache.shared.url}, {cache.shared.prefix})"
    return ", ".join(about[tier] for tier in gateway.tiers) or "none: every request goes to an upstream"
