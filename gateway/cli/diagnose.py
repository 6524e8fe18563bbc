"""`gateway diagnose`: what costs in a running gateway, and which line of the profile to change."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import orjson
import tomli_w
from cyclopts import Parameter
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from gateway.atomic import write_atomically
from gateway.cli.admin import Url, open_running
from gateway.cli.options import DEFAULT_PROFILE, Overrides, ProfileName
from gateway.cli.run import load, run
from gateway.errors import GatewayError, ProfileError
from gateway.printable import printable
from gateway.profile.loader import Loaded, load_profile
from gateway.profile.positions import dotted
from gateway.profile.search import real
from gateway.watch.diagnosis.changes import Change, merged, paths


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
    return run(partial(_diagnose, load(profile, set_), url, write, set_, json=json))


async def _diagnose(loaded: Loaded, url: str | None, write: Path | None, overrides: Overrides, *, json: bool) -> int:
    async with open_running(loaded.profile, url) as admin:
        answer = await admin.ask("GET", "/api/diagnosis")
        running = await admin.ask("GET", "/api/profile")
    issues = answer["issues"]
    if json:
        print(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode())
    else:
        _print(issues, answer["seconds"])
    if write is None:
        return 0
    changes = merged(issue["change"] for issue in issues)
    if not changes:
        sys.stderr.write("gateway: there is nothing to change, nothing was written\n")
        return 0
    if [real(Path(file)) for file in running["files"]] != [real(file) for file in loaded.files]:
        found = running["files"][-1] if running["files"] else "another profile"
        raise GatewayError(f"{admin.where} runs on {found}; name that with --profile")
    for sentence in _write(write, changes, loaded, overrides):
        sys.stderr.write(f"gateway: {sentence}\n")
    sys.stderr.write(f"gateway: wrote {write}; look at it, and try it: gateway check --profile {write}\n")
    return 0


def overlay(loaded: Loaded, changes: Change) -> str:
    """A profile that extends the present one and changes it, as TOML."""
    head = {
        "extends": [real(loaded.files[-1])],
        "description": f"{loaded.name}, with what a diagnosis would change",
    }
    return tomli_w.dumps({**head, **changes})


def _write(path: Path, changes: Change, replaced: Loaded, overrides: Overrides) -> list[str]:
    """Write the overlay; what its reader should know of it.

    Raises GatewayError for one that would not load, which is not written, for a bad place, and for a file that is
    there: it may be a profile that somebody wrote.
    """
    if path.resolve() in {file.resolve() for file in replaced.files}:
        raise GatewayError(f"{path} is the profile itself; write the changes to another file")
    if path.suffix != ".toml":
        raise GatewayError(f"expected a file that ends in .toml, found {path}")
    if path.exists():
        raise GatewayError(f"{path} is there already, nothing was written; remove it, or name another file")
    text = overlay(replaced, changes)
    trial = path.with_name(f".{path.stem}.trial.toml")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_atomically(trial, text.encode())
            loaded = load_profile(str(trial.absolute()), environ=os.environ, overrides=overrides)
        finally:
            trial.unlink(missing_ok=True)
        write_atomically(path, text.encode())
    except ProfileError as error:
        raise GatewayError(f"the changes together make no profile, nothing was written:\n{error}") from error
    except OSError as error:
        raise GatewayError(f"can't write {path}: {error.strerror or error}") from error
    return list(_without_effect(changes, loaded))


def _without_effect(changes: Change, loaded: Loaded) -> Iterator[str]:
    """The keys that something sets which wins over every file."""
    for path in paths(changes):
        origin = loaded.origins[path]
        if origin.place is None:
            yield f"{dotted(path)} is set by {origin.label}, which wins over the file"


def _print(issues: list[dict[str, Any]], seconds: float) -> None:
    console = Console(highlight=False)
    if not issues:
        console.print(f"Nothing stands out in the last {seconds:.0f} s.")
        return
    for number, issue in enumerate(issues, 1):
        name = issue["name"].replace("_", " ")
        subject = f" of {issue['subject']}" if issue["subject"] else ""
        title = Text(f"{number}. {name}{printable(subject, 200)}", style="bold")
        console.print(title.append(f"  worth {issue['worth']:.0f} of 100", style="not bold"))
        for sentence in (issue["evidence"], issue["advice"]):
            console.print(Padding(Text(printable(sentence, 500)), (0, 0, 0, 3)))
        if issue["change"]:
            for line in tomli_w.dumps(issue["change"]).strip().splitlines():
                console.print(Text(f"       {line}", style="cyan"), soft_wrap=True)
            for key, origin in issue["now"].items():
                set_at = f"{key} has its {origin}" if origin.startswith("default") else f"{key} is set at {origin}"
                console.print(Text(f"       # {set_at}", style="dim"), soft_wrap=True)
        console.print()
