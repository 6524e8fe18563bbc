"""`gateway diagnose`: what costs in a running gateway, and which line of the profile to change."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import orjson
import tomli_w
from cyclopts import Parameter
from rich.console import Console

from gateway.atomic import write_atomically
from gateway.cli.admin import Url, open_running
from gateway.cli.options import DEFAULT_PROFILE, Overrides, ProfileName
from gateway.cli.run import load, run
from gateway.errors import GatewayError, ProfileError
from gateway.printable import printable
from gateway.profile.loader import Loaded, load_profile
from gateway.watch.diagnosis.model import merged


def diagnose(
    *,
    write: Annotated[
        Path | None, Parameter(help="Write all changes there, as a profile that extends the present one.")
    ] = None,
    json: Annotated[bool, Parameter(negative="", help="Print what the gateway answers, as JSON.")] = False,
    profile: ProfileName = DEFAULT_PROFILE,
    set_: Overrides = (),
    url: Url = None,
) -> int:
    """Say what costs in a running gateway, the most valuable first, each with a change of the profile."""
    return run(partial(_diagnose, load(profile, set_), url, write, json=json))


async def _diagnose(loaded: Loaded, url: str | None, write: Path | None, *, json: bool) -> int:
    async with open_running(loaded.profile, url) as admin:
        answer = await admin.ask("GET", "/api/diagnosis")
    issues = answer["issues"]
    if json:
        print(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode())
    else:
        _print(issues, answer["seconds"])
    if write is not None:
        changes = [issue["change"] for issue in issues if issue["change"]]
        if not changes:
            sys.stderr.write("gateway: there is nothing to change, nothing was written\n")
            return 0
        _write(write, overlay(loaded, changes), replaced=loaded)
        sys.stderr.write(f"gateway: wrote {write}; look at it, and try it: gateway check --profile {write}\n")
    return 0


def overlay(loaded: Loaded, changes: list[dict[str, Any]]) -> str:
    """A profile that extends the present one and changes it, as TOML."""
    head = {"extends": [str(loaded.files[-1])], "description": f"{loaded.name}, with what a diagnosis would change"}
    return tomli_w.dumps({**head, **merged(changes)})


def _write(path: Path, text: str, replaced: Loaded) -> None:
    """Write the overlay; raises GatewayError for one that would not load, which is not written, and for a bad place."""
    if path.resolve() in {file.resolve() for file in replaced.files}:
        raise GatewayError(f"{path} is the profile itself; write the changes to another file")
    if path.suffix != ".toml":
        raise GatewayError(f"expected a file that ends in .toml, found {path}")
    path.parent.mkdir(parents=True, exist_ok=True)
    trial = path.with_name(f".{path.name}.trial.toml")
    try:
        write_atomically(trial, text.encode())
        load_profile(str(trial), environ=os.environ)
    except ProfileError as error:
        raise GatewayError(f"the changes together make no profile, nothing was written:\n{error}") from error
    finally:
        trial.unlink(missing_ok=True)
    write_atomically(path, text.encode())


def _print(issues: list[dict[str, Any]], seconds: float) -> None:
    console = Console()
    if not issues:
        console.print(f"Nothing stands out in the last {seconds:.0f} s.")
        return
    for number, issue in enumerate(issues, 1):
        name = issue["name"].replace("_", " ")
        subject = f" of {issue['subject']}" if issue["subject"] else ""
        console.print(
            f"[bold]{number}. {name}{printable(subject, 200)}[/bold]  worth {issue['worth']:.0f} of 100",
            highlight=False,
        )
        console.print(f"   {printable(issue['evidence'], 500)}", highlight=False, markup=False)
        console.print(f"   {printable(issue['advice'], 500)}", highlight=False, markup=False)
        if issue["change"]:
            for line in tomli_w.dumps(issue["change"]).strip().splitlines():
                console.print(f"       {line}", style="cyan", highlight=False, markup=False)
            for key, origin in issue["now"].items():
                console.print(
                    f"       # {key} is set at {origin}" if origin != "default" else f"       # {key} has its default",
                    style="dim",
                    highlight=False,
                    markup=False,
                )
        console.print()
