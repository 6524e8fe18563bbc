"""`gateway check --preflight`: the list before a release."""

from __future__ import annotations

from collections.abc import AsyncIterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.assembly import open_gateway
from gateway.cli.exits import FAILED
from gateway.profile.loader import Loaded
from gateway.profile.positions import KeyPath, dotted
from gateway.watch.preflight.checks import CHECKS, secrets
from gateway.watch.preflight.model import Point, Verdict
from gateway.watch.preflight.probes import disk_room, report, shared_tier, upstreams

_STYLES = {Verdict.PASS: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red"}


async def preflight(loaded: Loaded, *, strict: bool) -> int:
    """Go through the list and print it; the exit code is 1 where a point fails (with `strict`, where one warns)."""
    points = [point async for point in _points(loaded)]
    table = Table.grid(padding=(0, 2))
    for point in points:
        found = f"{point.found}; {point.remedy}" if point.remedy else point.found
        verdict = Text(point.verdict.value, style=_STYLES[point.verdict])
        about = Text.assemble(f"{point.name}: {found}\n", (_place(point, loaded), "dim"), overflow="fold")
        table.add_row(verdict, about)
    console = Console()
    console.print(table)
    counts = {verdict: sum(point.verdict is verdict for point in points) for verdict in Verdict}
    console.print(
        f"{loaded.name}: {', '.join(f'{number} {verdict.value}' for verdict, number in counts.items())}",
        highlight=False,
    )
    return FAILED if counts[Verdict.FAIL] or (strict and (counts[Verdict.WARN] or loaded.warnings)) else 0


async def _points(loaded: Loaded) -> AsyncIterator[Point]:
    profile = loaded.profile
    for check in CHECKS:
        for point in check(profile):
            yield point
    for point in secrets(profile, loaded.written):
        yield point
    yield report(profile.preflight, "load")
    yield report(profile.preflight, "soak")
    yield disk_room(profile)
    # The file is left alone: a gateway may have it open, or another user is to have it.
    disk = profile.cache.disk.model_copy(update={"enabled": False})
    without = profile.model_copy(update={"cache": profile.cache.model_copy(update={"disk": disk})})
    async with open_gateway(without, ahead=False) as gateway:
        yield shared_tier(profile, gateway.shared.tier if gateway.shared is not None else None)
        servers = {server.name: server for server in gateway.catalogue.federation.servers}
        async for point in upstreams(profile, gateway.catalogue.documents, servers):
            yield point


def _place(point: Point, loaded: Loaded) -> str:
    """Where the key, or what of it is nearest, is set."""
    path: KeyPath = point.key
    while path:
        if path in loaded.origins:
            return f"{loaded.origins[path].label} {dotted(point.key)}"
        path = path[:-1]
    return f"default {dotted(point.key)}"
