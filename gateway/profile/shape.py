"""Which section of the schema a key path leads to: for "did you mean", for overrides, for pydantic's locations."""

from __future__ import annotations

import types
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from gateway.profile.positions import KeyPath
from gateway.profile.profile import Profile
from gateway.profile.section import Section

Shape = Any
"""A type annotation: what may stand at a place of a profile; None where anything may, or nothing."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A location of pydantic's, followed through the schema.

    `path` is the key path that it means; `parent` is the shape of the table that holds its last key;
    `at_key` is set where the key itself is wrong.
    """

    path: KeyPath
    parent: Shape
    at_key: bool


def section(shape: Shape) -> type[Section] | None:
    """`shape` if it is one section."""
    return shape if isinstance(shape, type) and issubclass(shape, Section) else None


def variants(shape: Shape) -> dict[str, type[Section]]:
    """The sections of a discriminated union by their `type` or `by`; empty for any other shape."""
    if _origin(shape) not in (Union, types.UnionType):
        return {}
    sections = [member for member in map(section, get_args(shape)) if member is not None]
    tags = ((get_args(member.model_fields[discriminator(member)].annotation), member) for member in sections)
    return {str(tag): member for (tag, *_), member in tags}


def discriminator(variant: type[BaseModel]) -> str:
    """The key that tells a section of a discriminated union from the others: `by` for ways, `type` for kinds."""
    return "by" if "by" in variant.model_fields else "type"


def names(shape: Shape) -> tuple[str, ...]:
    """The keys that a section knows; empty where any name goes."""
    known = section(shape)
    return tuple(known.model_fields) if known else ()


def child(shape: Shape, key: object) -> Shape:
    """The shape at `key` of a table or array of this shape."""
    if (known := section(shape)) is not None:
        field = known.model_fields.get(str(key))
        return _bare(field.annotation) if field else None
    if _origin(shape) is dict:
        return _bare(get_args(shape)[1])
    if _origin(shape) in (tuple, list):
        return _bare(get_args(shape)[0])
    return None


def trace(loc: Sequence[int | str], *, marks: bool = True) -> Trace:
    """The key path that pydantic's `loc` means, without the tags of unions and the marks of keys in it.

    Without `marks` a last step of `[key]` is a key that is called so.
    """
    shape: Shape = Profile
    parent: Shape = None
    path: KeyPath = ()
    for step in loc:
        if marks and step == "[key]" and _origin(parent) is dict:
            return Trace(path, parent, at_key=True)
        if tagged := variants(shape):
            shape = tagged.get(str(step))
            continue
        path, parent, shape = (*path, step), shape, child(shape, step)
    return Trace(path, parent, at_key=False)


def enumerated(shape: Shape) -> tuple[str, ...]:
    """The words that a `Literal` allows; empty for any other shape."""
    return tuple(str(word) for word in get_args(shape)) if _origin(shape) is Literal else ()


def _bare(annotation: Shape) -> Shape:
    """An annotation without `Annotated` and `| None`."""
    if _origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if _origin(annotation) in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not types.NoneType]
        return _bare(members[0]) if len(members) == 1 else annotation
    return annotation


def _origin(annotation: Shape) -> Any:
    """`typing.get_origin`, whose declared type leaves out what it gives for `dict[…]` and the like."""
    return get_origin(annotation)
