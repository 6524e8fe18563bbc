"""The syntax of templates: `{name}` is a value, `{{` and `}}` are braces. How a value is encoded is the catalogue's."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class TemplateSyntaxError(ValueError):
    """Braces that do not pair, or a field that is not a plain name."""


@dataclass(frozen=True, slots=True)
class Field:
    """A place in a template that the value called `name` fills."""

    name: str


def parse_template(text: str) -> tuple[str | Field, ...]:
    """The literal texts and fields of `text`, in order.

    Raises TemplateSyntaxError for a brace without its partner and for a field that is no plain name:
    there are no attributes, indexes or formats, so a template can't reach anything but the values it is given.
    """
    parts: list[str | Field] = []
    literal = ""
    end = 0
    for token in _TOKEN.finditer(text):
        literal += text[end : token.start()]
        end = token.end()
        if token[0] in ("{{", "}}"):
            literal += token[0][0]
        elif token[1] is not None and _FIELD.fullmatch(token[1]):
            parts += [literal, Field(token[1])] if literal else [Field(token[1])]
            literal = ""
        elif token[1] is not None:
            raise TemplateSyntaxError(f"{token[0]} is not a plain name in braces")
        else:
            raise TemplateSyntaxError(f"a single '{token[0]}' at character {token.start() + 1}; write it twice")
    literal += text[end:]
    if literal or not parts:
        parts.append(literal)
    return tuple(parts)


def fields(text: str) -> frozenset[str]:
    """The names of the fields in the template `text`, which must be valid."""
    return frozenset(part.name for part in parse_template(text) if isinstance(part, Field))
