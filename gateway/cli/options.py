"""The options that several commands share: which profile, and what to change in it for this one run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter

from gateway.errors import GatewayError
from gateway.profile.search import DEFAULT_PROFILE as DEFAULT_PROFILE

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

Headers = Annotated[
    tuple[str, ...], Parameter(negative="", help="NAME=VALUE, sent with each request. Can be repeated.")
]
"""`--header NAME=VALUE`, any number of times."""


def headers_of(said: Sequence[str]) -> dict[str, str]:
    """The headers that `--header` names; raises GatewayError for what is none."""
    headers: dict[str, str] = {}
    for one in said:
        name, equals, value = one.partition("=")
        if not equals or not name or not (name + value).isascii() or not (name + value).isprintable() or ":" in name:
            raise GatewayError(f"--header: expected NAME=VALUE in plain ASCII, found {name!r}")
        headers[name] = value
    return headers
