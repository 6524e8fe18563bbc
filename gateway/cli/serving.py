"""What `gateway serve` does: in this process, as one of several workers, or by several workers."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import structlog
import trio

from gateway.cli.run import load, run, stop_on_signal
from gateway.profile.loader import Loaded, load_profile
from gateway.profile.units import format_size
from gateway.profile.workers import for_worker

if TYPE_CHECKING:
    from gateway.serving.systemd.passed import Passed
    from gateway.serving.systemd.supervisor import Supervisor
    from gateway.serving.workers.place import Place


def serve_clients(name: str, overrides: Sequence[str]) -> int:
    """Serve MCP over HTTP, and the admin site, until SIGTERM or SIGINT; SIGHUP reloads the profile."""
    from gateway.serving.systemd.passed import close_all, take_passed
    from gateway.serving.systemd.supervisor import Supervisor
    from gateway.serving.workers.place import place_of
    from gateway.telemetry.logs import set_up_logging

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})  # until there is who heeds it: it would end the process
    place = place_of(os.environ)
    reread = partial(load_profile, name, environ=dict(os.environ), overrides=overrides)
    if place is not None:
        loaded = place.loaded("started")
        set_up_logging(loaded.profile.logging.level, loaded.profile.logging.format)
        return run(partial(_work, for_worker(loaded, place.number, place.workers), place))
    loaded = load(name, overrides)
    supervisor = Supervisor.taken_from(os.environ)
    passed = take_passed(os.environ)
    command = [sys.executable, *(f"-W{each}" for each in sys.warnoptions), *_safe_path(), "-m", "gateway", "serve"]
    command += ["--profile", name, *(part for each in overrides for part in ("--set", each))]
    serving = _serve if loaded.profile.server.workers == 1 else partial(_supervise, command)
    try:
        return run(partial(serving, loaded, reread, supervisor, passed))
    finally:
        close_all(passed)


def _safe_path() -> list[str]:
    """What keeps workers from importing what lies in the working directory, where this process does not do so, either.

    `python -m` looks there first, and a gateway may be started anywhere: beside a `queue.py`, for one.
    """
    return [] if {"", str(Path.cwd())} & set(sys.path) else ["-P"]


async def _serve(loaded: Loaded, reread: Callable[[], Loaded], supervisor: Supervisor, passed: Sequence[Passed]) -> int:
    """Serve in this process."""
    # Imported here: this takes a while, and faults of the profile need not wait for it.
    from gateway.assembly.running import open_running
    from gateway.serving.http import HttpServing
    from gateway.serving.listening import listen
    from gateway.serving.reloading import Reloader
    from gateway.serving.systemd.supervising import supervise

    stop = trio.Event()
    async with _signals(stop) as hangups, trio.open_nursery() as nursery:
        async with open_running(loaded) as running:
            reloader = Reloader(running, reread, stop)
            serving = HttpServing(running, listen(loaded.profile, passed), stop, reloader, passed)
            async with trio.open_nursery() as serves:
                await serves.start(serving.run)
                gc.freeze()  # what serves stays: requests don't wait while garbage is looked for in it
                mcp, admin = serving.listening.mcp_addresses, serving.listening.admin_addresses
                tools = [tool["name"] for tool in running.gateway.catalogue.definitions]
                _greet(loaded, tools, _tiers(loaded, running.gateway.tiers), mcp, admin)
                await nursery.start(supervise, supervisor, serving, reloader, stop)
                nursery.start_soon(reloader.run, hangups)
        nursery.cancel_scope.cancel()
    return 0


async def _work(loaded: Loaded, place: Place) -> int:
    """Serve as one of several workers."""
    from gateway.assembly.running import open_running
    from gateway.serving.admission import take_own_credential
    from gateway.serving.http import HttpServing
    from gateway.serving.listening import listen
    from gateway.serving.reloading import Reloader
    from gateway.serving.systemd.passed import close_all
    from gateway.serving.workers.place import hub_path
    from gateway.serving.workers.routes import own_routes
    from gateway.serving.workers.worker import Siblings, client_of

    structlog.contextvars.bind_contextvars(worker=place.number)
    take_own_credential(place.credential.encode())
    stop, passed = trio.Event(), place.passed()
    try:
        async with (
            _signals(stop),  # a SIGHUP is for the supervisor, who tells each in turn
            client_of(hub_path(place.folder)) as hub,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(_stop_when, place.wait_orphaned, stop)
            siblings = Siblings(hub, place.number)
            async with open_running(loaded, siblings=siblings) as running:
                reread = partial(place.loaded, "reloaded")
                reloader = Reloader(running, lambda: for_worker(reread(), place.number, place.workers), stop)
                await siblings.catch_up(running.gateway.pipeline)
                listening = listen(loaded.profile, passed)
                serving = HttpServing(running, listening, stop, reloader, passed, lambda gateway: [own_routes(gateway)])
                gc.freeze()
                await serving.run()
            nursery.cancel_scope.cancel()
    finally:
        close_all(passed)
    return 0


async def _supervise(
    command: Sequence[str],
    loaded: Loaded,
    reread: Callable[[], Loaded],
    supervisor: Supervisor,
    passed: Sequence[Passed],
) -> int:
    """Serve by several workers."""
    from gateway.serving.listening import listen
    from gateway.serving.reloading import Reloader
    from gateway.serving.systemd.supervising import supervise
    from gateway.serving.workers.supervising import WorkersServing, open_folder

    stop = trio.Event()
    async with _signals(stop) as hangups, open_folder() as folder, trio.open_nursery() as nursery:
        serving = WorkersServing(loaded, command, listen(loaded.profile, passed), folder, stop)
        reloader = Reloader(serving.fleet, reread, stop)
        async with trio.open_nursery() as serves:
            await serves.start(serving.run, reloader)
            mcp, admin = serving.listening.mcp_addresses, serving.listening.admin_addresses
            workers = f"{len(serving.fleet.workers)} workers, each with its own"
            _greet(loaded, list(loaded.profile.tools), workers, mcp, admin)
            await nursery.start(supervise, supervisor, serving, reloader, stop)
            nursery.start_soon(reloader.run, hangups)
        nursery.cancel_scope.cancel()
    return 0


@asynccontextmanager
async def _signals(stop: trio.Event) -> AsyncIterator[AsyncIterator[int]]:
    """The SIGHUPs of the block; SIGTERM and SIGINT set `stop`."""
    with trio.open_signal_receiver(signal.SIGHUP) as hangups:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        async with trio.open_nursery() as nursery:
            await nursery.start(stop_on_signal, stop)
            yield hangups
            nursery.cancel_scope.cancel()


async def _stop_when(wait: Callable[[], Awaitable[None]], stop: trio.Event) -> None:
    await wait()
    stop.set()


def _greet(loaded: Loaded, tools: Sequence[str], tiers: str, mcp: list[str], admin: list[str]) -> None:
    """Say what was started, from what, and what to paste into a client."""
    from gateway.serving.hosts import reachable

    section = loaded.profile.server
    paths = [address for address in mcp if address.startswith("unix:")]
    urls = [f"http://{reachable(address)}{section.path}" for address in mcp if address not in paths]
    client = {"mcpServers": {section.name: {"type": "http", "url": urls[0]}}} if urls else None
    lines = [
        f"gateway: {section.title or section.name} at {' '.join([*urls, *paths])}",
        f"  profile   {loaded.name}, from {', '.join(str(file) for file in loaded.files)}",
        f"  tools     {', '.join(tools) or 'none'}",
        f"  tiers     {tiers}",
    ]
    if admin:
        at = (address if address.startswith("unix:") else f"http://{reachable(address)}" for address in admin)
        lines.append(f"  admin     {' '.join(at)} (/healthz, /readyz)")
    lines.append(
        f"  client    {orjson.dumps(client).decode() if client is not None else 'none: it has to know the socket'}"
    )
    sys.stderr.write("\n".join(lines) + "\n")
    sys.stderr.flush()


def _tiers(loaded: Loaded, tiers: Sequence[str]) -> str:
    cache = loaded.profile.cache
    about = {"memory": f"memory ({format_size(cache.memory.max_size)})", "disk": f"disk ({cache.disk.path})"}
    about["shared"] = f"shared ({cache.shared.url}, {cache.shared.prefix})"
    return ", ".join(about[tier] for tier in tiers) or "none: every request goes to an upstream"
