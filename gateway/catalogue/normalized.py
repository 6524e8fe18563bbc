"""Ways of writing an argument alike, which `[tools.NAME.normalize]` can prescribe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.catalogue.functions import words

WAYS = ("trim({})", "lower(trim({}))", "kebab({})")
"""Expressions of `normalize`, the one that changes the least first."""
_LONGEST = 200
"""Characters of a text that may be a name; longer ones have one spelling."""


def spellings(arguments: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Of each argument that is a short text: itself, and what each of `WAYS` makes of it."""
    texts = {name: value for name, value in arguments.items() if isinstance(value, str) and len(value) <= _LONGEST}
    return {name: (text, text.strip(), text.strip().lower(), "-".join(words(text))) for name, text in texts.items()}
