"""Templates over selected values: one record to a text, and each element of an array to a line of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from gateway.catalogue.template import Template, as_text, text_template
from gateway.profile.templates import Field


class RecordText:
    """A text made of a selected value: `text` filled with its members, where `each` says how an array's elements stand.

    Values are put into their places and never looked at as templates; what is absent or null is empty. The elements of
    an array that `each` names are texts of their own, one a line.
    """

    def __init__(self, text: str, each: Mapping[str, str]) -> None:
        self._text = text_template(text)
        self._each = {name: text_template(line) for name, line in each.items()}
        self._times = Counter(part.name for part in self._text.parts if isinstance(part, Field))

    def of(self, record: Mapping[str, Any]) -> str:
        """The text of a record. An element that is no object is `{value}` in its line."""
        lines = {name: self._lines(name, record.get(name)) for name in self._each}
        return self._text.fill({**record, **lines})

    def cost(self, name: str, element: Any) -> int:
        """Bytes that an element of the array `name` takes in the text."""
        if not self._times[name]:
            return 0
        line = self._each[name].fill(_record(element)) if name in self._each else as_text(element)
        return self._times[name] * (len(line.encode()) + len("\n"))

    def _lines(self, name: str, elements: Any) -> str:
        return "\n".join(self._each[name].fill(_record(element)) for element in _listed(elements))


def filled(template: str, value: Any) -> str:
    """The text of one value, for an expression that joins such texts itself."""
    return _compiled(template).fill(_record(value))


@lru_cache(maxsize=256)
def _compiled(template: str) -> Template:
    return text_template(template)


def _record(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {"value": value}


def _listed(elements: Any) -> list[Any]:
    """An array's elements; null has none, and anything else is one."""
    if elements is None:
        return []
    return elements if isinstance(elements, list) else [elements]
