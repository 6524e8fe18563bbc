"""`gateway capacity`: how many instances, how much cache and what quota of upstreams a load takes."""

from __future__ import annotations

import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import orjson
import tomli_w
import trio
from cyclopts import Parameter, validators
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from gateway.atomic import write_atomically
from gateway.cli.admin import Admin, Url, open_running, running_at
from gateway.cli.exits import FAILED
from gateway.cli.options import DEFAULT_PROFILE, Overrides, ProfileName
from gateway.cli.run import load, run, writable
from gateway.errors import GatewayError
from gateway.printable import printable
from gateway.profile.faults import did_you_mean
from gateway.profile.federated import may_be_federated
from gateway.profile.profile import Profile
from gateway.profile.units import format_size
from gateway.watch.capacity.model import Measured, Plan, Seen, Target
from gateway.watch.capacity.planning import plan
from gateway.watch.capacity.reading import measured_of, saved, seen_in, seen_of

_ADDRESSES = {
    "overview": "/api/overview",
    "tools": "/api/tools",
    "curves": "/api/curves",
    "metrics": "/api/metrics",
    "stats": "/api/cache/stats",
}


def capacity(
    *,
    target_rps: Annotated[
        float, Parameter(help="Requests a second to carry.", validator=validators.Number(gt=0, lte=1e9))
    ],
    report: Annotated[Path, Parameter(help="What gateway load --report wrote, of one instance.")],
    tools: Annotated[
        str | None, Parameter(help="The mix, such as a=3,b=1: tools and their shares. Without it, the load test's.")
    ] = None,
    headroom: Annotated[
        float, Parameter(help="The part of an instance that stays free.", validator=validators.Number(gte=0, lt=1))
    ] = 0.3,
    spare: Annotated[int, Parameter(help="Instances beside those needed.", validator=validators.Number(gte=0))] = 1,
    instances_max: Annotated[
        int | None, Parameter(help="Exit with 1 where it takes more.", validator=validators.Number(gte=1))
    ] = None,
    from_: Annotated[Path | None, Parameter(name="--from", help="What --save wrote, in place of a gateway.")] = None,
    save: Annotated[Path | None, Parameter(help="Write there what the gateway says of itself.")] = None,
    json: Annotated[bool, Parameter(negative="", help="Print the plan as JSON.")] = False,
    profile: ProfileName = DEFAULT_PROFILE,
    set_: Overrides = (),
    url: Url = None,
) -> int:
    """Say how many instances, how much L1 and L2, and what quota of upstreams a load takes, with the arithmetic.

    Rests on a load test of one instance, and on what a gateway under real or such load says of itself: its hit rates,
    its miss-ratio curves and its upstreams. What was not measured is told as a guess.
    """
    if from_ is not None and url is not None:
        raise GatewayError("--from and --url name two sources: one can be planned with at a time")
    loaded = load(profile, set_).profile
    measured = measured_of(_content(report), str(report))
    target = Target(target_rps, _shares(tools, measured, loaded), headroom, spare)
    return run(partial(_capacity, loaded, target, measured, url, from_, save, instances_max, json=json))


async def _capacity(
    profile: Profile,
    target: Target,
    measured: Measured,
    url: str | None,
    source: Path | None,
    save: Path | None,
    most: int | None,
    *,
    json: bool,
) -> int:
    writable(save)
    seen = await _seen(profile, url, source)
    if save is not None:
        if seen is None:
            raise GatewayError(
                "--save: no gateway of this profile runs, so there is nothing to write; --url says where"
            )
        await trio.to_thread.run_sync(write_atomically, save, saved(seen))
        sys.stderr.write(f"gateway: wrote {save}\n")
    made = plan(profile, target, measured, seen)
    if json:
        document = {"kind": "capacity", "target": asdict(target), "measured": asdict(measured), **asdict(made)}
        print(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
    else:
        _print(made, target)
    if most is not None and made.instances.whole > most:
        sys.stderr.write(f"gateway: it takes {made.instances.whole} instances, and --instances-max is {most}\n")
        return FAILED
    return 0


async def _seen(profile: Profile, url: str | None, source: Path | None) -> Seen | None:
    if source is not None:
        await trio.lowlevel.checkpoint()
        return seen_in(_content(source), str(source))
    if await running_at(profile, url) is None:
        return None
    async with open_running(profile, url) as admin:
        return seen_of(await _asked(admin))


async def _asked(admin: Admin) -> dict[str, Any]:
    return {name: await admin.ask("GET", path) for name, path in _ADDRESSES.items()}


def _shares(said: str | None, measured: Measured, profile: Profile) -> dict[str, float]:
    """The part of each tool. Raises GatewayError for what is no mix, and for tools that there are not."""
    if said is None:
        if not measured.shares:
            raise GatewayError("the load test asked for no tool; --tools says what is to be asked")
        weights = dict(measured.shares)
    else:
        weights = dict(_weight(part.strip()) for part in said.split(","))
    for name in weights:
        if name not in profile.tools and not may_be_federated(name, profile):
            near = did_you_mean(name, profile.tools)
            hint = f", did you mean {near}?" if near else ""
            raise GatewayError(f"there is no tool {printable(name, 80)} in the profile{hint}")
    whole = sum(weights.values())
    return {name: weight / whole for name, weight in weights.items()}


def _weight(part: str) -> tuple[str, float]:
    name, _, share = part.partition("=")
    try:
        weight = float(share) if share else 1.0
    except ValueError:
        weight = 0.0
    if not name or not 0 < weight < 1e9:
        raise GatewayError(f"--tools: expected NAME or NAME=SHARE, more than 0, found {printable(part, 80)!r}")
    return name, weight


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise GatewayError(f"can't read {path}: {error.strerror or error}") from None


def _print(made: Plan, target: Target) -> None:
    console = Console(highlight=False)

    def tell(head: str, *lines: str) -> None:
        console.print(Text(head, style="bold"))
        for line in lines:
            console.print(Padding(Text(printable(line, 1000)), (0, 0, 0, 3), expand=False))

    mix = ", ".join(f"{name} {share:.0%}" for name, share in target.shares.items())
    console.print(Text(printable(f"For {target.rps:g} requests a second ({mix}):", 1000)))
    console.print()
    instances = made.instances
    tell(f"{instances.whole} instances, {instances.needed} of them needed", instances.arithmetic)
    for tier in made.tiers:
        level = "L1" if tier.tier == "memory" else "L2"
        tell(f"{level} of {format_size(tier.size)} each, {format_size(tier.now)} now", tier.arithmetic)
    if made.missed is not None:
        tell("Reads that no tier answers", made.missed)
    for upstream in made.upstreams:
        head = f"{upstream.rps:.4g} a second to {upstream.upstream}, which has to allow {upstream.quota}"
        used = f"{upstream.of_rate_limit:.1%} of an instance's rate_limit, {upstream.of_slots:.1%} of its slots"
        tell(head, *upstream.arithmetic, used)
    if made.guesses:
        tell("Guesses", *made.guesses)
    if made.change:
        console.print(Text("Lines of the profile to write", style="bold"))
        for line in tomli_w.dumps(made.change).strip().splitlines():
            console.print(Text(f"    {line}", style="cyan"), soft_wrap=True)
