"""`gateway show`: the profile in force, as one file that means the same."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import tomli_w
from cyclopts import Parameter

from gateway.cli.options import DEFAULT_PROFILE, Overrides, ProfileName
from gateway.cli.run import FAILED
from gateway.errors import ProfileError
from gateway.profile.interpolation import escape
from gateway.profile.loader import Loaded, load_profile
from gateway.profile.positions import KeyPath, positions


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


def effective(loaded: Loaded, *, origins: bool = False) -> str:
    """The whole of `loaded` as TOML; loading that gives an equal profile.

    With `origins` each line with a value ends with a comment: a file and line, an environment variable,
    `--set`, or `default`.
    """
    text = tomli_w.dumps(_as_written(loaded.profile.model_dump(exclude_none=True), loaded.written))
    return _with_origins(text, loaded) if origins else text


def _as_written(value: Any, written: Mapping[KeyPath, str], path: KeyPath = ()) -> Any:
    """`value` with its strings as a profile has to write them."""
    match value:
        case dict():
            return {key: _as_written(child, written, (*path, key)) for key, child in value.items()}
        case list() | tuple():
            return [_as_written(child, written, (*path, index)) for index, child in enumerate(value)]
        case str():
            return written[path] if path in written else escape(value)
        case _:
            return value


def _with_origins(text: str, loaded: Loaded) -> str:
    """`text` with a comment on the line of every key that begins one; tomli-w does not indent those."""
    lines = text.split("\n")
    for path, place in positions(text).items():
        row = place.key.line - 1
        if place.key.column == 1 and not lines[row].startswith("["):
            lines[row] += f"  # {_origin(path, loaded)}"
    return "\n".join(lines)


def _origin(path: KeyPath, loaded: Loaded) -> str:
    return loaded.origins[path].label if path in loaded.origins else "default"
