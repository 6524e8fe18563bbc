"""`gateway soak`: hours of mixed load on a running gateway, and whether anything grows."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import orjson
import trio
from cyclopts import Parameter, validators
from rich.console import Console

from gateway.atomic import write_atomically
from gateway.cli.admin import Admin, Url, open_running
from gateway.cli.exits import FAILED
from gateway.cli.options import DEFAULT_PROFILE, Headers, Overrides, ProfileName, headers_of
from gateway.cli.run import load, run, writable
from gateway.profile.profile import Profile
from gateway.serving.hosts import url_of
from gateway.watch.soaking.load import MixedLoad, calls_of, free_calls, listed, refused_at_first
from gateway.watch.soaking.trend import trend
from gateway.watch.warmer import warm_calls

_STEP = 1.0
"""Seconds between two looks at the gateway."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the gateway had at a moment: seconds, bytes, bytes, a number."""

    at: float
    memory: float
    tier: float
    descriptors: float


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
    header: Headers = (),
    profile: ProfileName = DEFAULT_PROFILE,
    set_: Overrides = (),
    url: Url = None,
    mcp: Annotated[str | None, Parameter(help="Where MCP is served; without it, where the profile says.")] = None,
) -> int:
    """Put mixed load on a running gateway and see whether its memory and file descriptors stay flat.

    The load is the calls of [warm], tools without arguments (those that are not refused at first), lists, and some
    calls that are wrong or new. The first two fifths of the time do not count, and what the memory tier holds is no
    growth: it is bounded. Exits with 1 where something grows or an answer fails.
    """
    about = load(profile, set_).profile
    address = mcp or url_of(about.server)
    return run(partial(_soak, about, url, address, headers_of(header), minutes, connections, pause, growth, report))


async def _soak(
    profile: Profile,
    url: str | None,
    address: str,
    headers: Mapping[str, str],
    minutes: float,
    connections: int,
    pause: float,
    growth: float,
    report: Path | None,
) -> int:
    writable(report)
    async with open_running(profile, url) as admin:
        free = free_calls(await listed(address, headers))
        refused = await refused_at_first(address, free, headers)
        calls = calls_of(list(warm_calls(profile.warm)), free, refused)
        mixed = MixedLoad(address, calls, connections, pause, headers)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(mixed.run)
            seen = await _look(admin, minutes * 60)
            nursery.cancel_scope.cancel()
    result = {**verdict(seen, mixed.outcomes, minutes, growth), "left_out": refused}
    Console().print(result["summary"], highlight=False)
    if refused:
        Console().print(f"left out, since they were refused without arguments: {', '.join(refused)}", highlight=False)
    if report is not None:
        await trio.to_thread.run_sync(write_atomically, report, orjson.dumps(result, option=orjson.OPT_INDENT_2))
    return 0 if result["passed"] else FAILED


async def _look(admin: Admin, seconds: float) -> list[Look]:
    began, seen = trio.current_time(), []
    while (at := trio.current_time() - began) < seconds:
        now = await admin.ask("GET", "/api/overview")
        process, tier = now["process"], now["tiers"].get("memory", {"size": 0})
        seen.append(Look(at, process["memory"], tier["size"], process["descriptors"]))
        await trio.sleep(_STEP)
    return seen


def verdict(seen: Sequence[Look], outcomes: Mapping[str, int], minutes: float, growth: float) -> dict[str, Any]:
    """The result as the report has it; `growth` is in MB a minute."""
    memory = trend([(look.at, look.memory) for look in seen])
    beside = trend([(look.at, look.memory - look.tier) for look in seen])
    descriptors = trend([(look.at, look.descriptors) for look in seen])
    failed, asked = outcomes.get("failed", 0), sum(outcomes.values())
    flat = beside.slope <= growth * 1e6 and descriptors.last - descriptors.first < max(5.0, descriptors.first * 0.1)
    passed = flat and not failed and outcomes.get("ok", 0) > 0
    slope = f"{beside.slope / 1e6:+.3f} a minute beside the memory tier, {growth:g} allowed"
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
        "outcomes": dict(outcomes),
        "memory": asdict(memory),
        "memory_beside_the_tier": {**asdict(beside), "allowed": growth * 1e6},
        "descriptors": asdict(descriptors),
    }
