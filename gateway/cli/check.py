"""`gateway check`: whether a profile can be used, and what its author may want to think about again."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import Annotated

from cyclopts import Parameter

from gateway.cli.exits import FAILED
from gateway.cli.options import DEFAULT_PROFILE, Overrides, ProfileName
from gateway.errors import ProfileError
from gateway.profile.loader import Loaded, load_profile


def check(
    *,
    profile: ProfileName = DEFAULT_PROFILE,
    set_: Overrides = (),
    strict: Annotated[bool, Parameter(negative="", help="Let warnings fail the check too.")] = False,
    preflight: Annotated[
        bool, Parameter(negative="", help="Go through the list before a release, which asks the upstreams, too.")
    ] = False,
) -> int:
    """Check a profile without starting anything.

    Prints every fault with its file, line and column to stderr and exits with 1; or prints warnings and a
    summary, and exits with 0 (with --strict, with 1 if there are warnings).
    """
    try:
        loaded = load_profile(profile, environ=os.environ, overrides=set_)
    except ProfileError as error:
        print(error, file=sys.stderr)
        print(f"\n{profile}: {_count(len(error.faults), 'fault')}", file=sys.stderr)
        return FAILED
    for warning in loaded.warnings:
        print(f"{warning}\n")
    print(_summary(loaded))
    if preflight:
        from gateway.cli.preflight import preflight as go_through  # the way through it takes long to import
        from gateway.cli.run import run
        from gateway.telemetry.logs import set_up_logging

        set_up_logging("warning", loaded.profile.logging.format)
        return run(partial(go_through, loaded, strict=strict))
    return FAILED if strict and loaded.warnings else 0


def _summary(loaded: Loaded) -> str:
    profile = loaded.profile
    counts = [
        _count(len(loaded.files), "file"),
        _count(len(profile.tools), "tool"),
        _count(len(profile.upstreams), "upstream"),
        _count(len(profile.strategies), "strategy", "strategies"),
    ]
    if loaded.warnings:
        counts.append(_count(len(loaded.warnings), "warning"))
    return f"{loaded.name}: ok: {', '.join(counts)}"


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
