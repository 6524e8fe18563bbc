"""What the keys of a section mean, as it is written below each of them.

It is read out of the source when somebody asks: most processes never do, and it takes longer than loading a profile.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import Any, get_args

from pydantic import BaseModel


@cache
def documentation(section: type[BaseModel]) -> Mapping[str, str]:
    """The text of each key that has one, also of keys that are inherited."""
    found: dict[str, str] = {}
    for one in reversed(section.__mro__):
        found.update(_written(one.__module__).get(one.__qualname__, {}))
    return found


def sections_within(annotation: Any) -> Iterator[type[BaseModel]]:
    """The sections that a type is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from sections_within(part)


def describe(schema: dict[str, Any], section: type[BaseModel]) -> None:
    """Put the texts into the JSON Schema of a profile, where pydantic has left them out."""
    definitions, seen = schema["$defs"], set[type[BaseModel]]()

    def enter(one: type[BaseModel], properties: dict[str, Any]) -> None:
        seen.add(one)
        for name, text in documentation(one).items():
            if name in one.model_fields:
                properties[one.model_fields[name].alias or name]["description"] = text
        for field in one.model_fields.values():
            for child in sections_within(field.annotation):
                if child not in seen:
                    enter(child, definitions[child.__name__].get("properties", {}))

    enter(section, schema["properties"])


@cache
def _written(module: str) -> Mapping[str, Mapping[str, str]]:
    """The texts below the keys of each class of a module."""
    if not module.startswith("gateway."):
        return {}
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {each.name: dict(_texts(each)) for each in tree.body if isinstance(each, ast.ClassDef)}


def _texts(definition: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for key, text in pairwise(definition.body):
        if (
            isinstance(key, ast.AnnAssign)
            and isinstance(key.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and isinstance(text.value.value, str)
        ):
            yield key.target.id, inspect.cleandoc(text.value.value)
