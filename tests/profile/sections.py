"""Every section of a profile, found by walking the schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from gateway.profile.profile import Profile
from gateway.profile.section import Section


def sections(shape: Any, seen: set[type[Section]]) -> Iterator[type[Section]]:
    """Every section that the annotation `shape` leads to, once."""
    if isinstance(shape, type) and issubclass(shape, Section):
        if shape not in seen:
            seen.add(shape)
            yield shape
            for field in shape.model_fields.values():
                yield from sections(field.annotation, seen)
        return
    for part in get_args(shape):
        yield from sections(part, seen)


ALL = list(sections(Profile, set()))
