"""One operation of a specification as one tool."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jsonschema_rs

from gateway.importing.openapi.answer import answer_of
from gateway.importing.openapi.arguments import Arguments
from gateway.importing.openapi.body import add_body
from gateway.importing.openapi.document import Document, mapping, text
from gateway.importing.openapi.schema import Schemas, TooLarge, compiled, with_definitions
from gateway.importing.source import SpecificationError
from gateway.printable import printable
from gateway.profile.templates import TemplateSyntaxError, parse_template

METHODS = ("get", "post", "put", "patch", "delete", "head", "options", "trace")
_SENT = ("get", "post", "put", "patch", "delete")
_WITH_CONTENT = ("post", "put", "patch")
_DESCRIPTION = 1000
"""Characters of a description that a model is told; the rest is in the specification."""
_FIELD = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation where a specification has it."""

    path: str
    method: str
    said: Mapping[str, Any]
    shared: Mapping[str, Any]
    """The path's own object: parameters and servers that all its operations have."""

    @property
    def id(self) -> str:
        """Its operationId, else method and path."""
        return text(self.said.get("operationId")) or f"{self.method} {self.path}"

    @property
    def tags(self) -> tuple[str, ...]:
        """Its tags."""
        tags = self.said.get("tags")
        return tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()

    @property
    def names(self) -> tuple[str, ...]:
        """What a person may choose it by."""
        return (self.id, self.path, *self.tags)


@dataclass(frozen=True, slots=True)
class ImportedTool:
    """A tool as a profile has it, and what its reviewer should know."""

    section: dict[str, Any]
    notes: list[str] = field(default_factory=list)


def operations(document: Document, left_out: list[str]) -> Iterator[Operation]:
    """Every operation, in the order of the document; paths that lead nowhere are told in `left_out`."""
    for path, item in mapping(document.root.get("paths")).items():
        try:
            shared = mapping(document.resolved(item))
        except SpecificationError as error:
            left_out.append(f"{printable(path, 200)}: {error}")
            continue
        for method in METHODS:
            if isinstance(shared.get(method), dict):
                yield Operation(path, method, shared[method], shared)


def tool_of(document: Document, operation: Operation, upstream: str, strategy: str) -> ImportedTool:
    """The tool of an operation; raises SpecificationError for one that no tool can be made of."""
    if operation.method not in _SENT:
        raise SpecificationError(f"the method {operation.method.upper()}")
    arguments = Arguments(document, Schemas(document))
    try:
        fetch = _fetch(document, operation, arguments, upstream)
    except TooLarge:
        raise SpecificationError("arguments whose schemas are too large") from None
    section = {
        "title": printable(text(operation.said.get("summary")), 100),
        "description": _description(operation),
        "strategy": strategy,
        "annotations": _annotations(operation.method),
        "input": _input(arguments),
        "fetch": fetch,
        **answer_of(document, operation.said),
    }
    return ImportedTool({key: value for key, value in section.items() if value}, arguments.notes)


def _fetch(document: Document, operation: Operation, arguments: Arguments, upstream: str) -> dict[str, Any]:
    for parameter in _parameters(document, operation):
        arguments.take(parameter)
    path, _, query = operation.path.partition("#")[0].partition("?")
    fetch: dict[str, Any] = {"upstream": upstream, "path": _path(path.removeprefix("/"), arguments.path)}
    if operation.method != "get":
        fetch["method"] = operation.method.upper()
    fixed = dict(pair.partition("=")[::2] for pair in query.split("&") if pair)
    fetch["query"] = {**{name: _escaped(value) for name, value in fixed.items()}, **arguments.query}
    cookies = {"Cookie": "; ".join(arguments.cookies)} if arguments.cookies else {}
    fetch["headers"] = {**arguments.headers, **cookies}
    fetch.update(_content(operation, arguments))
    return {key: value for key, value in fetch.items() if value or key == "path"}


def _content(operation: Operation, arguments: Arguments) -> dict[str, Any]:
    said = operation.said.get("requestBody")
    if said is None:
        return {}
    if operation.method in _WITH_CONTENT:
        return add_body(arguments, said)
    if mapping(arguments.document.resolved(said)).get("required") is True and operation.method != "get":
        raise SpecificationError(f"a {operation.method.upper()} with content")
    arguments.notes.append("left out: the content, which has no meaning with this method")
    return {}


def _parameters(document: Document, operation: Operation) -> list[Mapping[str, Any]]:
    """The parameters of the path and of the operation, which wins (OpenAPI 3.1, "Operation Object")."""
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for said in (operation.shared.get("parameters"), operation.said.get("parameters")):
        for one in said if isinstance(said, list) else ():
            parameter = mapping(document.resolved(one))
            found[(text(parameter.get("in")), text(parameter.get("name")))] = parameter
    order = ("path", "query", "header", "cookie")
    return sorted(found.values(), key=lambda one: order.index(one["in"]) if one.get("in") in order else len(order))


def _path(path: str, templates: Mapping[str, str]) -> str:
    """The path as a template; a parameter that is not declared can't be filled."""
    parts = _FIELD.split(path)
    for index in range(1, len(parts), 2):
        if parts[index] not in templates:
            raise SpecificationError(f"a path whose parameter {printable(parts[index])} is not declared")
    filled = "".join(templates[part] if index % 2 else _escaped(part) for index, part in enumerate(parts))
    try:
        parse_template(filled)
    except TemplateSyntaxError:
        raise SpecificationError("a path with stray braces") from None
    return filled


def _escaped(part: str) -> str:
    return part.replace("{", "{{").replace("}", "}}")


def _description(operation: Operation) -> str:
    said = operation.said
    summary, described = text(said.get("summary")).strip(), text(said.get("description")).strip()
    deprecated = "Deprecated." if said.get("deprecated") is True else ""
    whole = "\n\n".join(part for part in (summary, described, deprecated) if part)
    if not whole:
        return f"{operation.method.upper()} {operation.path}"
    return whole if len(whole) <= _DESCRIPTION else f"{whole[:_DESCRIPTION].rpartition(' ')[0]} …"


def _annotations(method: str) -> dict[str, bool]:
    """What is not as `annotations` has it by default (RFC 9110, section 9.2)."""
    match method:
        case "get":
            return {}
        case "put":
            return {"read_only": False}
        case "delete":
            return {"read_only": False, "destructive": True}
        case _:
            return {"read_only": False, "idempotent": False}


def _input(arguments: Arguments) -> dict[str, Any]:
    """The input schema: what compiles, with defaults that the schemas allow."""
    if not arguments.properties:
        return {}
    required = {"required": arguments.required} if arguments.required else {}
    whole = with_definitions({**required, "properties": arguments.properties}, arguments.schemas.definitions)
    schema = compiled(whole)
    if schema is None:
        arguments.notes.append("the arguments' schemas do not compile: their types are not checked")
        loose = {name: _described(about) for name, about in arguments.properties.items()}
        return {**required, "properties": loose}
    if b"$ref" not in repr(whole).encode():
        schema.pop("$defs", None)
    schema["properties"] = {name: _with_sound_default(one, schema) for name, one in schema["properties"].items()}
    # What lost its default can be left out all the same: the upstream knows it.
    return schema


def _described(about: Any) -> dict[str, Any]:
    described = mapping(about).get("description")
    return {"description": described} if described else {}


def _with_sound_default(schema: Any, whole: Mapping[str, Any]) -> Any:
    if not isinstance(schema, dict) or "default" not in schema:
        return schema
    checked = {**schema, **({"$defs": whole["$defs"]} if "$defs" in whole else {})}
    if jsonschema_rs.validator_for(checked, offline=True).is_valid(schema["default"]):
        return schema
    return {key: value for key, value in schema.items() if key != "default"}
