"""`gateway profile-cpu`: what a running gateway spends its time on."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import trio
from cyclopts import Parameter, validators
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.atomic import write_atomically
from gateway.cli.admin import Url, open_running
from gateway.cli.options import DEFAULT_PROFILE, Overrides, ProfileName
from gateway.cli.run import load, run, writable
from gateway.printable import printable
from gateway.profile.profile import Profile


def profile_cpu(
    *,
    seconds: Annotated[
        float, Parameter(help="For how long to look.", validator=validators.Number(gte=0.1, lte=300))
    ] = 10.0,
    svg: Annotated[Path | None, Parameter(help="Write a flame graph there.")] = None,
    speedscope: Annotated[Path | None, Parameter(help="Write a file for speedscope there.")] = None,
    profile: ProfileName = DEFAULT_PROFILE,
    set_: Overrides = (),
    url: Url = None,
) -> int:
    """Record a CPU profile of a running gateway and print where the time went.

    The stacks of all threads are looked at every 10 ms of processor time; that takes less than 2 % of it.
    """
    return run(partial(_record, load(profile, set_).profile, url, seconds, svg, speedscope))


async def _record(profile: Profile, url: str | None, seconds: float, svg: Path | None, speedscope: Path | None) -> int:
    writable(svg, speedscope)
    async with open_running(profile, url) as admin:
        answer = await admin.ask("POST", "/api/profiles", json={"seconds": seconds})
        for kind, path in (("svg", svg), ("speedscope.json", speedscope)):
            if path is not None:
                content = await admin.content(f"/api/profiles/{answer['id']}.{kind}")
                await trio.to_thread.run_sync(write_atomically, path, content)
    console = Console(highlight=False)
    busy, overhead = answer["busy"], answer["overhead"]
    console.print(
        f"{answer['cpu']:.2f} s of processor time in {answer['seconds']:.1f} s ({busy:.1%} of one core)", end=""
    )
    console.print(f", {answer['samples']} samples; looking took {overhead:.1%} of it", highlight=False)
    table = Table("function", "of the time", box=None, pad_edge=False)
    for name, share in answer["top"]:
        table.add_row(Text(printable(name, 200), overflow="fold"), f"{share:.1%}")
    console.print(table)
    return 0
