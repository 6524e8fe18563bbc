"""The options that several commands share: which profile, and what to change in it for this one run."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

DEFAULT_PROFILE = "development"
"""What runs where nobody chose: the profile that suits a machine that somebody sits at."""

ProfileName = Annotated[
    str,
    Parameter(
        name="--profile",
        env_var="GATEWAY_PROFILE",
        help="A name, looked up in ./profiles, /etc/gateway/profiles and the shipped profiles; or a path.",
    ),
]
"""`--profile NAME`, or `$GATEWAY_PROFILE`."""

Overrides = Annotated[
    tuple[str, ...],
    Parameter(
        name="--set",
        negative="",
        json_list=False,  # ["…"] belongs to the value, which is TOML
        show_default=False,
        help="Change one key for this run: --set cache.memory.max_size=1GB. Can be repeated.",
    ),
]
"""`--set KEY=VALUE`, any number of times."""
