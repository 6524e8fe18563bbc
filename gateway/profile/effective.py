"""The profile in force, as one file that means the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tomli_w

from gateway.profile.interpolation import escape
from gateway.profile.loader import Loaded
from gateway.profile.positions import KeyPath, positions


def effective(loaded: Loaded, *, origins: bool = False) -> str:
    """The whole of `loaded` as TOML; loading that gives an equal profile.

    With `origins` each line with a value ends with a comment: a file and line, an environment variable,
    `--set`, or `default`.
    """
    text = tomli_w.dumps(as_written(loaded.profile.model_dump(exclude_none=True), loaded.written))
    return _with_origins(text, loaded) if origins else text


def as_written(value: Any, written: Mapping[KeyPath, str], path: KeyPath = ()) -> Any:
    """`value`, which stands at `path`, with its strings as a profile has to write them."""
    match value:
        case dict():
            return {key: as_written(child, written, (*path, key)) for key, child in value.items()}
        case list() | tuple():
            return [as_written(child, written, (*path, index)) for index, child in enumerate(value)]
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
