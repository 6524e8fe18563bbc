"""`gateway show`: the profile in force, as one file that means the same."""

from __future__ import annotations

import os
import sys
from typing import Annotated

from cyclopts import Parameter

from gateway.cli.exits import FAILED
from gateway.cli.options import DEFAULT_PROFILE, Overrides, ProfileName
from gateway.errors import ProfileError
from gateway.profile.effective import effective
from gateway.profile.loader import load_profile


def show(
    *,
    profile: ProfileName = DEFAULT_PROFILE,
    set_: Overrides = (),
    origins: Annotated[bool, Parameter(negative="", help="End each line with where its value comes from.")] = False,
) -> int:
    """Print a profile with all that it extends, all overrides and all defaults, as TOML.

    What is printed is a profile itself and means the same. Secrets are not in it: what comes from
    ${credential:NAME} or ${NAME} is printed as that.
    """
    try:
        loaded = load_profile(profile, environ=os.environ, overrides=set_)
    except ProfileError as error:
        print(error, file=sys.stderr)
        return FAILED
    print(effective(loaded, origins=origins), end="")
    return 0
