"""Names of tools and arguments, out of whatever a specification calls its operations and parameters."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container

MAX_TOOL = 64
"""Characters of a tool's name (a profile's own bound, and the one of several clients)."""
_MAX_ARGUMENT = 64


def tool_name(said: str, prefix: str, taken: Container[str]) -> str:
    """A name in snake case that no other tool has: "repos/get-content" is `repos_get_content`."""
    return _free(_shortened(prefix + (_snake(said) or "tool"), MAX_TOOL), MAX_TOOL, taken)


def argument_name(said: str, position: str, taken: Container[str]) -> str:
    """A name that a template can hold and no other argument has, as the specification spells it where that is one.

    Where two positions have the same name, the later one says its position: `id`, `id_query`.
    """
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", said).strip("_")[:_MAX_ARGUMENT] or "value"
    if not re.match(r"[A-Za-z_]", name):
        name = f"_{name}"
    return name if name not in taken else _free(f"{name}_{position}", _MAX_ARGUMENT + 10, taken)


def _snake(said: str) -> str:
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", said[:1000])
    return re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_")


def _shortened(name: str, limit: int) -> str:
    if len(name) <= limit:
        return name
    mark = hashlib.blake2b(name.encode(), digest_size=3).hexdigest()
    return f"{name[: limit - len(mark) - 1].rstrip('_')}_{mark}"


def _free(name: str, limit: int, taken: Container[str]) -> str:
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name[: limit - len(str(number)) - 1]}_{number}"
    return found
