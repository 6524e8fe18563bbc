"""Selection: a compiled JMESPath expression over a document, with the call's arguments at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jmespath

from gateway.catalogue.functions import Functions
from gateway.errors import UpstreamInvalid


class Selection:
    """An expression of the profile, compiled once. It is never built out of arguments: they are values in it."""

    def __init__(self, key: str, expression: str) -> None:
        self._key = key
        self._compiled = jmespath.compile(expression)

    def of(self, document: Any, arguments: Mapping[str, Any]) -> Any:
        """What the expression selects of `document`; None when there is nothing.

        Raises UpstreamInvalid, naming the profile's key, when the document is not what the expression expects.
        """
        try:
            return self._compiled.search(document, jmespath.Options(custom_functions=Functions(arguments)))
        except Exception as error:  # JMESPathError, and whatever a function trips over: all about the document
            reason = " ".join(str(error).split())
            raise UpstreamInvalid(self._key, f"the document is not what the expression expects: {reason}") from error
