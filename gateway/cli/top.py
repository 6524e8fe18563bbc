"""`gateway top`: how a running gateway does, in a terminal."""

from __future__ import annotations

import sys
import time
from functools import partial
from typing import Annotated, Any

import trio
from cyclopts import Parameter, validators
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gateway.cli.admin import Admin, Url, open_running
from gateway.cli.options import DEFAULT_PROFILE, Overrides, ProfileName
from gateway.cli.run import load, run
from gateway.errors import GatewayError
from gateway.printable import printable
from gateway.profile.profile import Profile

_SEVERITIES = {"warning": "yellow", "critical": "bold red"}
_STEPS = 5
"""Steps of scaling that are shown."""


def top(
    *,
    interval: Annotated[
        float, Parameter(help="Seconds between two looks.", validator=validators.Number(gte=0.2))
    ] = 2.0,
    window: Annotated[
        float, Parameter(help="Seconds that the numbers are about.", validator=validators.Number(gt=0))
    ] = 60.0,
    once: Annotated[bool, Parameter(negative="", help="Print it once.")] = False,
    profile: ProfileName = DEFAULT_PROFILE,
    set_: Overrides = (),
    url: Url = None,
) -> int:
    """Show how a running gateway does, again and again until Ctrl-C; once where stdout is no terminal."""
    once = once or not sys.stdout.isatty()
    return run(partial(_watch, load(profile, set_).profile, url, interval, window, once=once))


async def _watch(profile: Profile, url: str | None, interval: float, window: float, *, once: bool) -> int:
    async with open_running(profile, url) as admin:
        if once:
            Console().print(await _screen(admin, window))
            return 0
        with Live(await _screen(admin, window), screen=True, auto_refresh=False) as live:
            while True:
                await trio.sleep(interval)
                try:
                    screen = await _screen(admin, window)
                except GatewayError as error:
                    screen = Group(Text(f"{error}; trying again", style="bold red"))
                live.update(screen, refresh=True)


async def _screen(admin: Admin, window: float) -> Group:
    now = await admin.ask("GET", "/api/overview", params={"window": window})
    alerts = (await admin.ask("GET", "/api/alerts"))["alerts"]
    tools = (await admin.ask("GET", "/api/tools"))["tools"]
    scaling = await admin.ask("GET", "/api/scaling")
    return Group(
        *_head(now),
        *_alerts(alerts),
        Text(),
        _numbers(now),
        Text(),
        _tiers(now),
        Text(),
        _upstreams(now),
        *_scaling(scaling),
        Text(),
        _tools(tools),
    )


def _head(now: dict[str, Any]) -> tuple[Text, Text]:
    state = ("ready", "green") if now["ready"] else ("not ready", "yellow")
    about = f"profile {now['profile']}, version {now['version']}, up for {seconds(now['uptime'])}"
    return Text.assemble((printable(now["name"]), "bold"), "  ", state), Text(about, style="dim")


def _alerts(alerts: list[dict[str, Any]]) -> list[Text]:
    return [Text(printable(alert["text"], 200), style=_SEVERITIES.get(alert["severity"], "")) for alert in alerts]


def _numbers(now: dict[str, Any]) -> Table:
    timing, process = now["timing"], now["process"]
    table = Table(box=None, pad_edge=False, header_style="dim")
    numbers = {
        "requests/s": f"{now['throughput']:.4g}",
        "p50": seconds(timing["p50"]),
        "p95": seconds(timing["p95"]),
        "p99": seconds(timing["p99"]),
        "hit rate": share(now["hit_rate"]),
        "errors": share(now["error_rate"]),
        "memory": size(process["memory"]),
        "CPU": share(process["cpu"]),
        "lag": seconds(process["lag"]),
    }
    for name in numbers:
        table.add_column(name, justify="right", min_width=9)
    table.add_row(*numbers.values())
    return table


def _tiers(now: dict[str, Any]) -> Table:
    table = _table("tier", "hit rate", "entries", "size", "of", "evicted")
    for name, tier in now["tiers"].items():
        table.add_row(
            name,
            share(tier["hit_rate"]),
            f"{tier['entries']:,}",
            size(tier["size"]),
            size(tier["limit"]),
            f"{tier['evictions']:,}",
        )
    return table


def _upstreams(now: dict[str, Any]) -> Table:
    table = _table("upstream", "p95", "asked", "failed", "retried", "waiting", "breaker")
    for name, one in now["upstreams"].items():
        breaker = Text("open", style="bold red") if one["breaker_open"] else Text("closed")
        waiting = one["queued"] + one["throttled"]
        counts = [str(number) for number in (one["asked"], one["failed"], one["retried"], waiting)]
        table.add_row(name, seconds(one["p95"]), *counts, breaker)
    return table


def _scaling(scaling: dict[str, Any]) -> list[Text | Table]:
    if not scaling["enabled"]:
        return []
    table = _table("scaled", "now", "starts with", "least", "most", "load")
    for limit in scaling["limits"]:
        amounts = [amount(limit[name], limit["unit"]) for name in ("value", "start", "least", "most")]
        table.add_row(limit["key"], *amounts, share(limit["load"]))
    last = [Text(moved(step), style="dim") for step in scaling["steps"][:_STEPS]]
    refused = [
        Text(f"{limit['key']} stays: {limit['refusal']}", style="dim")
        for limit in scaling["limits"]
        if limit["refusal"]
    ]
    return [Text(), table, *last, *refused]


def _tools(tools: list[dict[str, Any]]) -> Table:
    table = _table("tool", "calls", "hit rate", "a hit", "a miss", "in all")
    for tool in tools[:15]:
        table.add_row(
            Text(printable(tool["name"])),  # a federated one is called as its server likes
            f"{tool['calls']:,}",
            share(tool["hit_rate"]),
            seconds(tool["hit"]),
            seconds(tool["miss"]),
            seconds(tool["seconds"]),
        )
    return table


def _table(first: str, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(first, min_width=24, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", min_width=8)
    return table


def seconds(value: float | None) -> str:
    """A duration for people."""
    if value is None:
        return "-"
    for unit, factor in (("us", 1e-6), ("ms", 1e-3), ("s", 1.0)):
        if value < factor * 1000 and value < 120:
            return f"{value / factor:.3g} {unit}"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.3g} h"


def amount(value: int, unit: str) -> str:
    """A limit for people."""
    return size(value) if unit == "bytes" else str(value)


def moved(step: dict[str, Any]) -> str:
    """A step of scaling, in one line."""
    at = time.strftime("%H:%M:%S", time.localtime(step["at"]))
    before, after = amount(step["before"], step["unit"]), amount(step["after"], step["unit"])
    return f"{at} {step['key']}: {before} -> {after}, since {step['reason']}"


def share(value: float | None) -> str:
    """A share for people."""
    return "-" if value is None else f"{value:.1%}"


def size(value: int | None) -> str:
    """A number of bytes for people."""
    return "-" if value is None else f"{value / 1e6:.4g} MB"
