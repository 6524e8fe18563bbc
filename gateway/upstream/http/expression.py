"""A JMESPath expression of an upstream's own table, over what the upstream answered."""

from __future__ import annotations

from typing import Any

import jmespath

from gateway.errors import UpstreamInvalid
from gateway.printable import printable


class Expression:
    """An expression of the profile, compiled once; `key` is where it stands there."""

    def __init__(self, upstream: str, key: str, expression: str) -> None:
        self.key = key
        self._upstream = upstream
        self._compiled = jmespath.compile(expression)

    def of(self, document: Any, what: str) -> Any:
        """What it finds in `document`; None where there is nothing. Raises UpstreamInvalid, about `what`."""
        try:
            return self._compiled.search(document)
        except Exception as error:  # JMESPathError, and whatever a function trips over: all about the document
            reason = printable(" ".join(str(error).split()), 200)
            raise UpstreamInvalid(self._upstream, f"{what} is not what {self.key} expects: {reason}") from None
