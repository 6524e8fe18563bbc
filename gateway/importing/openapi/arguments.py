"""What one operation takes, as the arguments of a tool and the templates that put them into their places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.importing.openapi.document import Document, mapping, text
from gateway.importing.openapi.names import argument_name
from gateway.importing.openapi.schema import Schemas
from gateway.importing.source import SpecificationError
from gateway.printable import printable

_IGNORED_HEADERS = frozenset({"accept", "content-type", "authorization"})
"""Said elsewhere in a specification (OpenAPI 3.1, "Parameter Object")."""
_COOKIE = r"^[!#-+\--:<-\[\]-~]*$"
"""What may stand in a cookie (RFC 6265, section 4.1.1): nothing that could begin another one."""
_SEPARATORS = {"form": ("commas", ","), "simple": ("commas", ","), "spaceDelimited": ("spaces", " ")}
_STYLES = {**_SEPARATORS, "pipeDelimited": ("bars", "|")}


@dataclass(slots=True)
class Arguments:
    """Collects the arguments of one tool; `notes` is what its reviewer should know."""

    document: Document
    schemas: Schemas
    properties: dict[str, Any] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    path: dict[str, str] = field(default_factory=dict)
    """What stands in the path in place of each of its parameters."""
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    cookies: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, said: str, position: str, schema: Any, *, required: bool, described: str = "") -> str:
        """Take an argument; the template that stands for it."""
        name = argument_name(said, position, self.properties)
        about = schema if isinstance(schema, dict) else {}
        if described:
            about = {"description": described, **{key: one for key, one in about.items() if key != "description"}}
        self.properties[name] = about
        if required and "default" not in about:
            self.required.append(name)
        return f"{{{name}}}"

    def take(self, parameter: Mapping[str, Any]) -> None:
        """Take a parameter of any position; raises SpecificationError for one that can't be left out or sent."""
        said, position = text(parameter.get("name")), parameter.get("in")
        match position:
            case "path":
                self._path(said, parameter)
            case "query":
                self._query(said, parameter)
            case "header" if said.lower() not in _IGNORED_HEADERS:
                self._single(said, parameter)
            case "cookie":
                self._single(said, parameter)
            case "header":
                return
            case _:
                raise SpecificationError(f"a parameter {printable(said)} in {printable(str(position))}")

    def _path(self, said: str, parameter: Mapping[str, Any]) -> None:
        template = self._flat(said, "path", parameter, required=True)
        match parameter.get("style"):
            case "label":
                template = f".{template}"
            case "matrix":
                template = f";{_literal(said)}={template}"
        self.path[said] = template

    def _query(self, said: str, parameter: Mapping[str, Any]) -> None:
        required, described = parameter.get("required") is True, text(parameter.get("description"))
        raw = self.document.resolved(_schema_of(parameter))
        style = text(parameter.get("style")) or "form"
        members = mapping(mapping(raw).get("properties"))
        if "content" not in parameter and (members or _kind(raw) == "object"):
            self._members(said, style, raw, parameter)
        elif _kind(raw) == "array" and "content" not in parameter and parameter.get("explode", style == "form") is True:
            schema = self.schemas.translated(_schema_of(parameter))
            self.query[said] = self.add(said, "query", schema, required=required, described=described)
        else:
            self.query[said] = self._flat(said, "query", parameter, required=required)

    def _members(self, said: str, style: str, raw: Any, parameter: Mapping[str, Any]) -> None:
        """An object in the query: each member is an argument and a parameter of its own."""
        members = mapping(mapping(raw).get("properties"))
        needed = mapping(raw).get("required")
        if style not in ("form", "deepObject") or parameter.get("explode") is False or not members:
            if parameter.get("required") is True:
                raise SpecificationError(f"the parameter {printable(said)}, an object in the query")
            self.notes.append(f"left out: the parameter {said}, an object in the query")
            return
        for member, schema in members.items():
            key = f"{said}[{member}]" if style == "deepObject" else member
            required = parameter.get("required") is True and isinstance(needed, list) and member in needed
            self.query[key] = self.add(key, "query", self.schemas.translated(schema), required=required)

    def _single(self, said: str, parameter: Mapping[str, Any]) -> None:
        """A header or a cookie: one value, which a template can't leave out."""
        cookie = parameter.get("in") == "cookie"
        schema = mapping(self.document.resolved(_schema_of(parameter)))
        if parameter.get("required") is not True and "default" not in schema:
            self.notes.append(f"left out: the {'cookie' if cookie else 'header'} {said}, which is optional")
            return
        if not cookie:
            self.headers[said] = self._flat(said, "header", parameter, required=True)
            return
        template = self._flat(said, "cookie", parameter, required=True)
        about = self.properties[template[1:-1]]
        if about.get("type") == "string":
            about.setdefault("pattern", _COOKIE)
        self.cookies.append(f"{_literal(said)}={template}")

    def _flat(self, said: str, position: str, parameter: Mapping[str, Any], *, required: bool) -> str:
        """One value. What several values are joined to is left to the caller, who is told how."""
        described = text(parameter.get("description"))
        schema = _schema_of(parameter)
        kind = _kind(self.document.resolved(schema))
        if "content" in parameter and kind in ("object", "array"):
            hint = "as JSON"
        elif kind == "array":
            words, _ = _STYLES.get(text(parameter.get("style")) or "simple", _STYLES["simple"])
            hint = f"several with {words} between them"
        elif kind == "object":
            hint = "as name,value,name,value"
        else:
            translated = self.schemas.translated(schema)
            return self.add(said, position, translated, required=required, described=described)
        joined = f"{described} ({hint})" if described else hint
        return self.add(said, position, {"type": "string"}, required=required, described=joined)


def _schema_of(parameter: Mapping[str, Any]) -> Any:
    """A parameter's schema, which may stand under its one media type."""
    if "schema" in parameter:
        return parameter["schema"]
    content = list(mapping(parameter.get("content")).values())
    return mapping(content[0]).get("schema", {}) if content else {}


def _kind(schema: Any) -> Any:
    """An object's or array's type, also where null is another one."""
    kind = mapping(schema).get("type")
    kinds = [one for one in kind if one != "null"] if isinstance(kind, list) else [kind]
    if kinds == [None]:
        return "object" if "properties" in mapping(schema) else None
    return kinds[0] if len(kinds) == 1 else None


def _literal(said: str) -> str:
    """A name as it stands in a template."""
    return said.replace("{", "{{").replace("}", "}}")
