"""Every key of a profile as Markdown tables, made from the sections themselves; the README holds a copy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Literal, get_args, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from gateway.profile.documentation import documentation, sections_within
from gateway.profile.profile import Profile
from gateway.profile.shape import discriminator

_ROOT = "top level"


def reference() -> str:
    """One table for each section: key, default and what it is. A section that several tables hold is shown once."""
    return "\n\n".join(_tables(Profile, _ROOT, set())) + "\n"


def _tables(section: type[BaseModel], name: str, shown: set[type[BaseModel]]) -> Iterator[str]:
    shown.add(section)
    rows: list[str] = []
    below: list[tuple[type[BaseModel], str]] = []
    for key, field in section.model_fields.items():
        children = list(sections_within(field.annotation))
        if not children or get_origin(field.annotation) is not None:
            rows.append(f"| `{key}` | {_default(field)} | {_description(section, key)} |")
        below.extend((child, _path(name, key, field)) for child in children)
    if rows:
        key = discriminator(section)
        kind = section.model_fields.get(key)
        title = name if name == _ROOT else f"`{name}`"
        if kind is not None and get_origin(kind.annotation) is Literal:
            title += f" with `{key} = {json.dumps(get_args(kind.annotation)[0])}`"
        yield "\n".join([f"**{title}**", "", "| key | default | what it is |", "|---|---|---|", *rows])
    for child, path in below:
        if child not in shown:
            yield from _tables(child, path, shown)


def _path(name: str, key: str, field: FieldInfo) -> str:
    path = key if name == _ROOT else f"{name.strip('[]')}.{key}"
    match get_origin(field.annotation):
        case origin if origin is dict:
            return f"[{path}.NAME]"
        case origin if origin is tuple:
            return f"[[{path}]]"
        case _:
            return f"[{path}]"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = TypeAdapter(field.rebuild_annotation()).dump_python(field.get_default(), mode="json")
    return "" if value in (None, "", [], {}) else f"`{json.dumps(value)}`"


def _description(section: type[BaseModel], key: str) -> str:
    return " ".join(documentation(section).get(key, "").split()).replace("|", "\\|")
