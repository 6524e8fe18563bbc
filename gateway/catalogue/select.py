"""Selection: a compiled JMESPath expression over a document, with the call's arguments at hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jmespath

from gateway.catalogue.functions import LONG, Functions, Surroundings
from gateway.errors import UpstreamInvalid


class Selection:
    """An expression of the profile, compiled once. It is never built out of arguments: they are values in it."""

    def __init__(self, key: str, expression: str) -> None:
        self._key = key
        self._compiled = jmespath.compile(expression)
        self.long = not LONG.isdisjoint(_called(self._compiled.parsed))
        """Whether it does what takes long over a long document."""

    def of(self, document: Any, arguments: Mapping[str, Any], releases: Mapping[str, str] | None = None) -> Any:
        """What the expression selects of `document`; None when there is nothing.

        `releases` are those that the fetches have read. Raises UpstreamInvalid, naming the profile's key, when the
        document is not what the expression expects.
        """
        functions = Functions(Surroundings(arguments, document, releases or {}))
        try:
            return self._compiled.search(document, jmespath.Options(custom_functions=functions))
        except Exception as error:  # JMESPathError, and whatever a function trips over: all about the document
            reason = " ".join(str(error).split())
            raise UpstreamInvalid(self._key, f"the document is not what the expression expects: {reason}") from error


def _called(expression: Any) -> Iterator[str]:
    """The names of the functions that a parsed expression calls."""
    if not isinstance(expression, dict):
        return
    if expression.get("type") == "function_expression":
        yield expression["value"]
    for child in expression.get("children", ()):
        yield from _called(child)
