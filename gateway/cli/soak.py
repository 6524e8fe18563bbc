"""`gateway soak`: hours of mixed load on a running gateway, and whether anything grows."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import orjson
import trio
from cyclopts import Parameter, validators
from rich.console import Console

from gateway.atomic import write_atomically
from gateway.cli.admin import Admin, Url, open_running
from gateway.cli.options import DEFAULT_PROFILE, Overrides, ProfileName
from gateway.cli.run import FAILED, load, run, writable
from gateway.profile.profile import Profile
from gateway.serving.hosts import reachable
from gateway.watch.soaking.load import HEADERS, MixedLoad, calls_of
from gateway.watch.soaking.trend import Trend, trend
from gateway.watch.warmer import warm_calls

_STEP = 1.0
"""Seconds between two looks at the gateway."""


def soak(
    *,
    minutes: Annotated[float, Parameter(help="For how long.", validator=validators.Number(gte=0.2))] = 30.0,
    connections: Annotated[
        int, Parameter(help="How many ask at once.", validator=validators.Number(gte=1, lte=200))
    ] = 8,
    pause: Annotated[
        float, Parameter(help="Seconds that each waits between two calls.", validator=validators.Number(gte=0))
    ] = 0.02,
    growth: Annotated[
        float, Parameter(help="MB a minute that memory may grow by.", validator=validators.Number(gt=0))
    ] = 0.5,
    report: Annotated[Path | None, Parameter(help="Write the result there, as JSON.")] = None,
    profile: ProfileName = DEFAULT_PROFILE,
    set_: Overrides = (),
    url: Url = None,
) -> int:
    """Put mixed load on a running gateway and see whether its memory and file descriptors stay flat.

    The load is the calls of [warm], tools without arguments, lists, and some calls that are wrong or new. The first
    two fifths of the time do not count. Exits with 1 where something grows or an answer fails.
    """
    return run(partial(_soak, load(profile, set_).profile, url, minutes, connections, pause, growth, report))


async def _soak(
    profile: Profile,
    url: str | None,
    minutes: float,
    connections: int,
    pause: float,
    growth: float,
    report: Path | None,
) -> int:
    writable(report)
    async with open_running(profile, url) as admin:
        address = f"http://{reachable(profile.server.bind[0])}{profile.server.path}"
        asking = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
        tools = (await admin.ask("POST", address, json=asking, headers=HEADERS))["result"]["tools"]
        mixed = MixedLoad(address, calls_of(tools, list(warm_calls(profile.warm))), connections, pause)
        memory: list[tuple[float, float]] = []
        descriptors: list[tuple[float, float]] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(mixed.run)
            await _look(admin, minutes * 60, memory, descriptors)
            nursery.cancel_scope.cancel()
    result = verdict(trend(memory), trend(descriptors), mixed, minutes, growth)
    Console().print(result["summary"], highlight=False)
    if report is not None:
        await trio.to_thread.run_sync(write_atomically, report, orjson.dumps(result, option=orjson.OPT_INDENT_2))
    return 0 if result["passed"] else FAILED


async def _look(
    admin: Admin, seconds: float, memory: list[tuple[float, float]], descriptors: list[tuple[float, float]]
) -> None:
    began = trio.current_time()
    while (at := trio.current_time() - began) < seconds:
        process = (await admin.ask("GET", "/api/overview"))["process"]
        memory.append((at, float(process["memory"])))
        descriptors.append((at, float(process["descriptors"])))
        await trio.sleep(_STEP)


def verdict(memory: Trend, descriptors: Trend, mixed: MixedLoad, minutes: float, growth: float) -> dict[str, Any]:
    """The result as the report has it."""
    failed, asked = mixed.outcomes["failed"], sum(mixed.outcomes.values())
    flat = memory.slope <= growth * 1e6 and descriptors.last - descriptors.first < max(5.0, descriptors.first * 0.1)
    passed = flat and not failed and asked > 0
    slope = f"{memory.slope / 1e6:+.3f} a minute, {growth:g} allowed"
    summary = (
        f"{'passed' if passed else 'FAILED'}: {asked} requests in {minutes:g} min, {failed} failed; memory "
        f"{memory.first / 1e6:.1f} -> {memory.last / 1e6:.1f} MB ({slope}), "
        f"descriptors {descriptors.first:.0f} -> {descriptors.last:.0f}"
    )
    return {
        "kind": "soak",
        "finished_at": time.time(),
        "passed": passed,
        "summary": summary,
        "minutes": minutes,
        "outcomes": dict(mixed.outcomes),
        "memory": {"first": memory.first, "last": memory.last, "slope": memory.slope, "allowed": growth * 1e6},
        "descriptors": {"first": descriptors.first, "last": descriptors.last, "slope": descriptors.slope},
    }
