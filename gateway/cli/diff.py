"""`gateway diff`: what two profiles mean otherwise, and what a reload from one to the other would cost."""

from __future__ import annotations

import os
import sys
from typing import Annotated

from cyclopts import Parameter

from gateway.cli.exits import FAILED
from gateway.cli.options import Overrides
from gateway.errors import ProfileError
from gateway.profile.difference import differences, needs_restart
from gateway.profile.loader import load_profile

_TROUBLE = 2


def diff(
    before: Annotated[str, Parameter(help="A profile's name or path: what runs now.")],
    after: Annotated[str, Parameter(help="Another one: what it would become.")],
    /,
    *,
    set_: Overrides = (),
) -> int:
    """Print the effective difference of two profiles, and what a reload would make useless of what is kept.

    All that they extend, all defaults, and overrides of the environment are counted in; --set is for AFTER. Exits with
    0 where they mean the same, with 1 where they differ, with 2 where one of them can't be used.
    """
    try:
        first = load_profile(before, environ=os.environ)
        second = load_profile(after, environ=os.environ, overrides=set_)
    except ProfileError as error:
        print(error, file=sys.stderr)
        return _TROUBLE
    found = differences(first, second)
    for difference in found:
        print(difference)
    from gateway.catalogue.reach import lost_between

    lost = lost_between(first.profile, second.profile)
    sentences = [
        ("answers made anew", ", ".join(lost.tools)),
        ("documents read anew", ", ".join(lost.upstreams)),
        ("given up", "the whole disk tier (cache.disk)" if lost.disk else ""),
        ("at a restart only", ", ".join(needs_restart(first.profile, second.profile))),
    ]
    told = [f"{what}: {which}" for what, which in sentences if which]
    if told:
        print("", *told, sep="\n")
    elif found:
        print("\nnothing that is kept becomes useless")
    return FAILED if found else 0
