"""What a request carries: query parameters, a form, JSON. Values are put into their places and encoded as values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from gateway.catalogue.jsontext import strict_json
from gateway.catalogue.template import Template, as_text, text_template
from gateway.errors import ToolError
from gateway.profile.templates import Field

Pairs = tuple[tuple[str, str], ...]

JSON_CONTENT = ("Content-Type", "application/json")
FORM_CONTENT = ("Content-Type", "application/x-www-form-urlencoded")


class Parameters:
    """The parameters of a query or a form, by name."""

    def __init__(self, section: Mapping[str, str]) -> None:
        self._templates = {name: text_template(text) for name, text in section.items()}

    def __bool__(self) -> bool:
        return bool(self._templates)

    def fill(self, values: Mapping[str, Any]) -> Pairs:
        """Names and values, as plain text.

        A parameter that is just one argument is left out where that is absent or null, and repeated for an array.
        """
        return tuple((name, text) for name, template in self._templates.items() for text in _texts(template, values))


def _texts(template: Template, values: Mapping[str, Any]) -> list[str]:
    argument = sole_field(template)
    if argument is None:
        return [template.fill(values)]
    value = values.get(argument)
    if value is None:
        return []
    return [as_text(item) for item in value] if isinstance(value, list) else [as_text(value)]


def sole_field(template: Template) -> str | None:
    """The argument that a template is, where it is just that."""
    match template.parts:
        case (Field(name),):
            return name
        case _:
            return None


def form_content(pairs: Pairs) -> bytes:
    """`pairs` as a form (WHATWG URL, section 5.2); raises ToolError for half of a surrogate pair."""
    try:
        return urlencode(pairs).encode()
    except UnicodeEncodeError:
        raise ToolError("Invalid arguments: expected text, found half of a surrogate pair") from None


class _Absent:
    """A place whose argument was not given."""


_ABSENT = _Absent()


class JsonContent:
    """A JSON value with arguments in it. Its shape is the profile's alone: an argument is one value, whatever it is."""

    def __init__(self, section: Any) -> None:
        self._compiled = _compile(section)

    def value(self, values: Mapping[str, Any]) -> Any:
        """The value; None where the whole is an argument that was not given."""
        value = _filled(self._compiled, values)
        return None if value is _ABSENT else value

    def fill(self, values: Mapping[str, Any]) -> bytes:
        """The JSON; empty where the whole is an argument that was not given.

        Raises ToolError for what JSON can't hold: half of a surrogate pair, NaN, infinity.
        """
        value = _filled(self._compiled, values)
        if value is _ABSENT:
            return b""
        try:
            return strict_json(value).encode()
        except ValueError as error:
            raise ToolError(f"Invalid arguments: {error}") from None


def _compile(value: Any) -> Any:
    """`value` with its texts as templates; recursion is bounded by the depth of a TOML file."""
    match value:
        case dict():
            return {key: _compile(child) for key, child in value.items()}
        case list():
            return [_compile(child) for child in value]
        case str():
            return text_template(value)
        case _:
            return value


def _filled(compiled: Any, values: Mapping[str, Any]) -> Any:
    match compiled:
        case dict():
            members = {key: _filled(child, values) for key, child in compiled.items()}
            return {key: member for key, member in members.items() if member is not _ABSENT}
        case list():
            elements = [_filled(child, values) for child in compiled]
            return [element for element in elements if element is not _ABSENT]
        case Template():
            argument = sole_field(compiled)
            return compiled.fill(values) if argument is None else values.get(argument, _ABSENT)
        case _:
            return compiled
