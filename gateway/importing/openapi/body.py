"""What an operation is sent: members of a JSON object or of a form as arguments of their own, anything else as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.importing.openapi.arguments import Arguments
from gateway.importing.openapi.document import mapping, text
from gateway.importing.source import SpecificationError
from gateway.printable import printable

FORM = "application/x-www-form-urlencoded"
_MAX_PARTS = 20
"""Schemas of an allOf that are put together."""


def add_body(arguments: Arguments, said: Any) -> dict[str, Any]:
    """The keys `body` or `form` of the fetch; raises SpecificationError for content that can't be sent."""
    request = mapping(arguments.document.resolved(said))
    content = mapping(request.get("content"))
    needed = request.get("required") is True
    media = next((name for name in content if is_json(name)), None) or next(
        (n for n in content if _plain(n) == FORM), None
    )
    if media is None:
        if not needed:
            if content:
                arguments.notes.append(f"left out: the optional content ({', '.join(content)})")
            return {}
        raise SpecificationError(f"content of type {printable(', '.join(content) or 'nothing', 200)}")
    schema = mapping(content[media]).get("schema", {})
    members = _members(arguments, schema)
    if members is None and _plain(media) == FORM:
        raise SpecificationError("a form whose members are not declared")
    if members is None:
        described = text(request.get("description"))
        translated = arguments.schemas.translated(schema)
        return {"body": arguments.add("body", "body", translated, required=needed, described=described)}
    properties, required = members
    templates = {
        name: arguments.add(name, "body", arguments.schemas.translated(one), required=needed and name in required)
        for name, one in properties.items()
    }
    return {"form" if _plain(media) == FORM else "body": templates}


def is_json(media: str) -> bool:
    """Whether a media type, or a range of them, is JSON."""
    name = _plain(media)
    return name in ("application/json", "*/*", "application/*") or name.endswith("+json")


def _plain(media: str) -> str:
    return media.partition(";")[0].strip().lower()


def _members(arguments: Arguments, schema: Any) -> tuple[dict[str, Any], set[str]] | None:
    """The members of an object that declares them all, and which have to be there; None for any other content."""
    properties: dict[str, Any] = {}
    required: set[str] = set()
    waiting, seen = [schema], 0
    while waiting:
        one = mapping(arguments.document.resolved(waiting.pop()))
        seen += 1
        if seen > _MAX_PARTS or not _is_closed(one):
            return None
        declared = mapping(one.get("properties"))
        if properties.keys() & declared.keys():
            return None
        properties.update(declared)
        names = one.get("required")
        required.update(name for name in (names if isinstance(names, list) else ()) if isinstance(name, str))
        parts = one.get("allOf")
        waiting += reversed(parts) if isinstance(parts, list) else ()
    sent = {name: one for name, one in properties.items() if not _read_only(arguments, one)}
    return (sent, required) if sent else None


def _is_closed(schema: Mapping[str, Any]) -> bool:
    """Whether an object's members say all of it."""
    if schema.get("type", "object") not in ("object", ["object"]) or schema.get("nullable") is True:
        return False
    if schema.keys() & {"oneOf", "anyOf", "not", "if", "patternProperties", "propertyNames", "minProperties"}:
        return False
    return schema.get("additionalProperties", False) is False and ("properties" in schema or "allOf" in schema)


def _read_only(arguments: Arguments, schema: Any) -> bool:
    return mapping(arguments.document.resolved(schema)).get("readOnly") is True
