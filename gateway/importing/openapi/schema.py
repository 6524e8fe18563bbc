"""OpenAPI's schemas as JSON Schema that TOML can hold: 3.0's own words translated, references kept as `$defs`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import jsonschema_rs
import orjson

from gateway.importing.openapi.document import Document, reference_of

MAX_NODES = 2000
"""Schemas within the schemas of one tool; more of them help no model."""
MAX_DEPTH = 40
"""Levels of a schema without following references; deeper ones say nothing more."""
_SMALL = 300
"""Bytes of a definition that is put where it is used, rather than referred to."""
_NUMBER = 2**63

_TYPES = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})


class TooLarge(Exception):
    """A schema that no tool should have."""


class Schemas:
    """Translates the schemas of one tool; `definitions` is what they refer to, by names that are free of syntax."""

    def __init__(self, document: Document, *, leave_out: str = "readOnly") -> None:
        self._document = document
        self._leave_out = leave_out
        self._names: dict[str, str] = {}
        self._waiting: list[str] = []
        self._nodes = 0
        self.definitions: dict[str, Any] = {}

    def translated(self, schema: Any) -> Any:
        """`schema` in JSON Schema 2020-12. Raises TooLarge, and SpecificationError for a reference that leads nowhere.

        References may lead in circles: what they lead to is translated once.
        """
        result = self._schema(schema, 0)
        while self._waiting:
            reference = self._waiting.pop()
            self.definitions[self._names[reference]] = self._schema(self._document.at(reference), 0)
        return result

    def _schema(self, schema: Any, depth: int) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise TooLarge
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict) or depth > MAX_DEPTH:
            return {}
        reference = reference_of(schema)
        if reference is not None:
            return self._referred(reference, schema)
        result: dict[str, Any] = {}
        for word, value in schema.items():
            translate = _WORDS.get(word)
            translated = translate(self, value, depth) if translate is not None else None
            if translated is not None:
                result[word] = translated
        _bounds(result, schema)
        self._members(result, schema)
        return _nullable(result) if schema.get("nullable") is True or _allows_null(schema) else result

    def _referred(self, reference: str, schema: Mapping[str, Any]) -> dict[str, Any]:
        if reference not in self._names:
            self._document.resolved(schema)  # or it leads nowhere, which is said here
            self._names[reference] = _free(reference, self._names.values())
            self._waiting.append(reference)
        result: dict[str, Any] = {"$ref": f"#/$defs/{self._names[reference]}"}
        described = schema.get("description")
        if isinstance(described, str):
            result["description"] = described
        return _nullable(result) if schema.get("nullable") is True else result

    def _members(self, result: dict[str, Any], schema: Mapping[str, Any]) -> None:
        """Leave out what only the other direction has: `readOnly` in what is sent, `writeOnly` in what comes back."""
        properties = schema.get("properties")
        if not isinstance(properties, dict) or "properties" not in result:
            return
        hidden = {
            name for name, one in properties.items() if isinstance(one, dict) and one.get(self._leave_out) is True
        }
        result["properties"] = {name: one for name, one in result["properties"].items() if name not in hidden}
        if "required" in result:
            result["required"] = [name for name in result["required"] if name not in hidden]

    def of_each(self, value: Any, depth: int) -> dict[str, Any] | None:
        """Schemas by name."""
        if not isinstance(value, dict):
            return None
        return {name: self._schema(schema, depth + 1) for name, schema in value.items() if isinstance(name, str)}

    def of_list(self, value: Any, depth: int) -> list[Any] | None:
        """Several schemas."""
        return [self._schema(schema, depth + 1) for schema in value] if isinstance(value, list) and value else None

    def of_one(self, value: Any, depth: int) -> Any:
        """One schema."""
        return self._schema(value, depth + 1) if isinstance(value, dict | bool) else None


def with_definitions(schema: dict[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """`schema` with what it refers to: small definitions in place, the others under `$defs`."""
    small = {
        f"#/$defs/{name}": one
        for name, one in definitions.items()
        if b'"$ref"' not in (spelled := orjson.dumps(one)) and len(spelled) <= _SMALL
    }
    result = _in_place(schema, small)
    kept = {name: _in_place(one, small) for name, one in definitions.items() if f"#/$defs/{name}" not in small}
    return {**result, "$defs": kept} if kept else dict(result)


def compiled(schema: dict[str, Any]) -> dict[str, Any] | None:
    """`schema`, where need be without its regular expressions; None for one that does not compile at all."""
    for candidate in (schema, _without_patterns(schema)):
        if _compiles(candidate):
            return dict(candidate)
    return None


def _compiles(schema: dict[str, Any]) -> bool:
    try:
        jsonschema_rs.validator_for(schema, offline=True)
    except Exception:  # ValidationError, ReferencingError, ValueError: all about the schema
        return False
    return True


def _in_place(value: Any, small: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_in_place(one, small) for one in value]
    if not isinstance(value, dict):
        return value
    reference = reference_of(value)
    found = small.get(reference) if reference is not None else None
    if isinstance(found, dict):
        return {**found, **{key: one for key, one in value.items() if key != "$ref"}}
    return {key: _in_place(one, small) for key, one in value.items()}


def _without_patterns(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_patterns(one) for one in value]
    if not isinstance(value, dict):
        return value
    # A property may be called "pattern"; then it is a schema and no text.
    kept = {key: one for key, one in value.items() if not (key == "pattern" and isinstance(one, str))}
    kept.pop("patternProperties", None)
    return {key: _without_patterns(one) for key, one in kept.items()}


def _free(reference: str, taken: Any) -> str:
    """A name for what a reference leads to: its last step, without syntax and by no other's name."""
    last = reference.rstrip("/").rpartition("/")[2].replace("~1", "_")
    name = wanted = re.sub(r"[^A-Za-z0-9_-]+", "_", last)[:40] or "schema"
    number = 1
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name


def _bounds(result: dict[str, Any], schema: Mapping[str, Any]) -> None:
    """3.0 says `exclusiveMinimum: true` beside `minimum`, JSON Schema the number itself."""
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if schema.get(exclusive) is True and bound in result:
            result[exclusive] = result.pop(bound)


def _allows_null(schema: Mapping[str, Any]) -> bool:
    """Whether null stands among the values: TOML has none, so it becomes a type."""
    values = schema.get("enum")
    return (isinstance(values, list) and None in values) or ("const" in schema and schema["const"] is None)


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema that null satisfies, too."""
    kind = schema.get("type")
    if isinstance(kind, str) and "enum" not in schema and "const" not in schema:
        return {**schema, "type": [kind, "null"]} if kind != "null" else schema
    if isinstance(kind, list) and "enum" not in schema and "const" not in schema:
        return {**schema, "type": [*kind, *([] if "null" in kind else ["null"])]}
    if not schema.keys() - {"description", "title", "default"}:
        return schema
    about: dict[str, Any] = {key: schema[key] for key in ("description", "default") if key in schema}
    rest = {key: value for key, value in schema.items() if key not in about}
    return {**about, "anyOf": [rest, {"type": "null"}]}


def _type(_: Schemas, value: Any, __: int) -> Any:
    if isinstance(value, str):
        return value if value in _TYPES else None
    kinds = [kind for kind in value if isinstance(kind, str) and kind in _TYPES] if isinstance(value, list) else []
    return list(dict.fromkeys(kinds)) or None


def _count(_: Schemas, value: Any, __: int) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _NUMBER else None


def _number(_: Schemas, value: Any, __: int) -> float | None:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if fits and abs(value) < _NUMBER else None


def _step(_: Schemas, value: Any, __: int) -> float | None:
    number = _number(_, value, __)
    return number if number is not None and number > 0 else None


def _text(_: Schemas, value: Any, __: int) -> str | None:
    return value if isinstance(value, str) else None


def _flag(_: Schemas, value: Any, __: int) -> bool | None:
    return value if isinstance(value, bool) else None


def _names(_: Schemas, value: Any, __: int) -> list[str] | None:
    found = [name for name in value if isinstance(name, str)] if isinstance(value, list) else []
    return list(dict.fromkeys(found)) or None


def _values(_: Schemas, value: Any, __: int) -> list[Any] | None:
    found = [one for one in value if plain(one) is not None] if isinstance(value, list) else []
    return [one for index, one in enumerate(found) if one not in found[:index]] if len(found) < 1000 else None


def plain(value: Any) -> Any:
    """`value` if TOML can say it: no null anywhere, nothing that JSON can't hold; else None."""
    try:
        spelled = orjson.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return None
    return None if value is None or (b"null" in spelled and _is_unsayable(value)) else value


def _is_unsayable(value: Any) -> bool:
    """Whether there is a null, or a number that orjson writes as one."""
    if isinstance(value, dict):
        return any(map(_is_unsayable, value.values()))
    if isinstance(value, list):
        return any(map(_is_unsayable, value))
    return value is None or (isinstance(value, float) and not math.isfinite(value))


_WORDS: dict[str, Callable[[Schemas, Any, int], Any]] = {
    "type": _type,
    "enum": lambda schemas, value, depth: _values(schemas, value, depth) or None,
    "const": lambda _, value, __: plain(value),
    "default": lambda _, value, __: plain(value),
    "description": _text,
    "format": _text,
    "pattern": _text,
    "uniqueItems": _flag,
    "required": _names,
    **dict.fromkeys(
        ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains"), _count
    ),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _number),
    "multipleOf": _step,
    **dict.fromkeys(("properties", "patternProperties", "dependentSchemas"), Schemas.of_each),
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), Schemas.of_list),
    **dict.fromkeys(
        ("items", "not", "additionalProperties", "propertyNames", "contains", "if", "then", "else"), Schemas.of_one
    ),
}
"""The words that mean the same in both, and how their values are read; all others are left out."""
