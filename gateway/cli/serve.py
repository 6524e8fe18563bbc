"""`gateway serve`: MCP over streamable HTTP, until it is told to stop."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import orjson
import trio

from gateway.cli.options import DEFAULT_PROFILE, Overrides, ProfileName
from gateway.cli.run import load, run, stop_on_signal
from gateway.profile.loader import Loaded
from gateway.profile.units import format_size

if TYPE_CHECKING:
    from gateway.assembly import Gateway


def serve(*, profile: ProfileName = DEFAULT_PROFILE, set_: Overrides = ()) -> int:
    """Serve MCP over HTTP, and the admin site, until SIGTERM or SIGINT."""
    return run(partial(_serve, load(profile, set_)))


async def _serve(loaded: Loaded) -> int:
    # Imported here: the SDK takes a second to import, and faults of the profile need not wait for it.
    from gateway.assembly import open_gateway
    from gateway.serving.http import listen, serve_http

    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(stop_on_signal, stop)
        async with open_gateway(loaded.profile, loaded=loaded) as gateway:
            listening = listen(gateway)
            server = partial(serve_http, gateway, listening, stop)
            async with trio.open_nursery() as serving:
                sockets = (listening.mcp_addresses, listening.admin_addresses)
                await serving.start(server)
                sys.stderr.write(_greeting(loaded, gateway, *sockets))
                sys.stderr.flush()
        nursery.cancel_scope.cancel()
    return 0


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
        lines.append(f"  admin     {' '.join(f'http://{reachable(address)}' for address in admin)} (/healthz, /readyz)")
    lines.append(
        f"  client    {orjson.dumps(client).decode() if client is not None else 'none: it has to know the socket'}"
    )
    return "\n".join(lines) + "\n"


def _tiers(gateway: Gateway) -> str:
    cache = gateway.profile.cache
    about = {"memory": f"memory ({format_size(cache.memory.max_size)})", "disk": f"disk ({cache.disk.path})"}
    about["shared"] = f"shared ({cache.shared.url}, {cache.shared.prefix})"
    return ", ".join(about[tier] for tier in gateway.tiers) or "none: every request goes to an upstream"
