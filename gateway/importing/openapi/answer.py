"""What an operation answers, in outline: what a model wants to know of it, and what an upstream keeps to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.importing.openapi.body import is_json
from gateway.importing.openapi.document import Document, mapping
from gateway.importing.source import SpecificationError

_DEPTH = 3
"""Levels of an answer that are told."""
_MEMBERS = 60
"""Members of an object that are told."""
_MAX_SIZE = 6000
"""Bytes of an outline; a larger one is told with a level less."""
_PARTS = 20


def answer_of(document: Document, operation: Mapping[str, Any]) -> dict[str, Any]:
    """The keys `result` and `output` of a tool, as far as the specification says what comes back.

    Types only, and null is always allowed: many specifications do not say where it is, and an answer that does not fit
    its `output` is an error. An array stands in an object, as structured content has to.
    """
    schema, kind = _success(document, operation)
    if kind == "text":
        return {"result": {"format": "text"}}
    for depth in range(_DEPTH, 0, -1):
        outline = _outline(document, schema, depth)
        if outline.get("type") == "array":
            outline = {"properties": {"items": outline}, "required": ["items"]}
        elif not outline.get("properties"):
            return {}
        if len(orjson.dumps(outline)) <= _MAX_SIZE:
            output = {key: value for key, value in outline.items() if key != "type"}
            return (
                {"result": {"select": "{ items: @ }"}, "output": output} if "required" in output else {"output": output}
            )
    return {}


def _success(document: Document, operation: Mapping[str, Any]) -> tuple[Any, str]:
    responses = mapping(operation.get("responses"))
    codes = sorted(code for code in responses if code[:1] == "2") or [
        code for code in ("default",) if code in responses
    ]
    for code in codes:
        content = mapping(mapping(document.resolved(responses[code])).get("content"))
        for media, about in content.items():
            if is_json(media):
                return mapping(about).get("schema", {}), "json"
        if content and all(media.startswith("text/") for media in content):
            return {}, "text"
    return {}, ""


def _outline(document: Document, schema: Any, depth: int) -> dict[str, Any]:
    """Types of a schema and of what it holds, without any bounds."""
    try:
        merged = _merged(document, schema)
    except SpecificationError:  # an answer that nobody can know is not told
        return {}
    kind = merged.get("type")
    kinds = [one for one in kind if one != "null"] if isinstance(kind, list) else [kind]
    match kinds:
        case ["array"]:
            items = _nullable(_outline(document, merged.get("items", {}), depth - 1)) if depth > 1 else {}
            return {"type": "array", **({"items": items} if items else {})}
        case ["object"] | [None] if isinstance(merged.get("properties"), dict):
            members = list(merged["properties"].items())
            if depth < 1 or len(members) > _MEMBERS:
                return {"type": "object"}
            told = {name: _nullable(_outline(document, one, depth - 1)) for name, one in members}
            return {"type": "object", "properties": told}
        case ["string" | "boolean" | "object" as one]:
            return {"type": one}
        case ["number"] | ["integer"]:
            return {"type": "number"}
        case _:
            return {}


def _merged(document: Document, schema: Any) -> dict[str, Any]:
    """A schema with the parts of its allOf; of alternatives nothing is known."""
    result: dict[str, Any] = {}
    waiting, seen = [schema], 0
    while waiting and seen < _PARTS:
        one = mapping(document.resolved(waiting.pop()))
        seen += 1
        if "oneOf" in one or "anyOf" in one:
            return {}
        parts = one.get("allOf")
        waiting += reversed(parts) if isinstance(parts, list) else ()
        properties = {**mapping(result.get("properties")), **mapping(one.get("properties"))}
        result = {**result, **one, **({"properties": properties} if properties else {})}
    return result


def _nullable(outline: dict[str, Any]) -> dict[str, Any]:
    return {**outline, "type": [outline["type"], "null"]} if isinstance(outline.get("type"), str) else outline
