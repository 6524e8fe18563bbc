"""Templates at run time: values put into their place, encoded for it, so that a value can never become syntax."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from gateway.catalogue.jsontext import to_json
from gateway.errors import ToolError
from gateway.printable import printable
from gateway.profile.templates import Field, parse_template

_MAX_SEGMENT = 512
"""Characters of one path segment or header value; longer ones are no names."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template and the encoding of its place."""

    parts: tuple[str | Field, ...]
    encode: Callable[[str, str], str]

    def fill(self, values: Mapping[str, Any]) -> str:
        """The text with every field's value in its place; raises ToolError when a value can't stand there."""
        return "".join(
            part if isinstance(part, str) else self.encode(part.name, as_text(values.get(part.name)))
            for part in self.parts
        )


def path_template(text: str) -> Template:
    """A path in which each value is one segment, or a part of one (RFC 3986, section 3.3)."""
    return Template(parse_template(text), _segment)


def header_template(text: str) -> Template:
    """A header's value; line breaks and other controls are refused (RFC 9110, section 5.5)."""
    return Template(parse_template(text), _header)


def text_template(text: str) -> Template:
    """Text that nobody parses: a message, a tag, a query value that is encoded later."""
    return Template(parse_template(text), _text)


def as_text(value: Any) -> str:
    """A value as it stands in text: strings as they are, the rest as JSON; null is empty."""
    if isinstance(value, str):
        return value
    return "" if value is None else to_json(value).decode()


def _segment(name: str, value: str) -> str:
    if value in ("", ".", "..") or len(value) > _MAX_SEGMENT or _CONTROL.search(value):
        raise ToolError(f"{name}: expected a name of 1 to {_MAX_SEGMENT} characters, found '{printable(value)}'")
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        raise ToolError(f"{name}: expected text, found half of a surrogate pair") from None


def _header(name: str, value: str) -> str:
    if _CONTROL.search(value) or len(value) > _MAX_SEGMENT:
        raise ToolError(f"{name}: expected one line of at most {_MAX_SEGMENT} characters, found '{printable(value)}'")
    return value


def _text(name: str, value: str) -> str:
    return value


def path_glob(text: str) -> str:
    """The glob of all paths that a path template can make: `types/{name}.d.ts` is `types/*.d.ts`."""
    return "".join(part if isinstance(part, str) else "*" for part in parse_template(text))
