"""An OpenAPI document: its references, and where its operations stand in the file."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from gateway.importing.source import Specification, SpecificationError
from gateway.printable import printable

_VERSION = re.compile(r"3\.[01](\.\d+)?(-.*)?")
_OPERATION_ID = re.compile(r"""["']?operationId["']?[ ]*:[ ]*["']?([^"'\n,}]{1,200})""")
_HOPS = 50
"""References that may lead to each other before it is a circle."""


class Document:
    """A checked document. Raises SpecificationError for one that is not OpenAPI 3.0 or 3.1."""

    def __init__(self, specification: Specification) -> None:
        self.name = specification.name
        self.root = _checked(specification)
        self._lines = _lines(specification.text)

    def line_of(self, operation_id: str) -> int | None:
        """The line on which an operation says its id."""
        return self._lines.get(operation_id)

    def resolved(self, value: Any) -> Any:
        """`value`, or what it refers to within this document (RFC 6901, in a percent-encoded fragment).

        What is nothing but members beside a `$ref` is left out (OpenAPI 3.0, "Reference Object"). Raises
        SpecificationError for references that lead nowhere, in a circle, or into another document.
        """
        for _ in range(_HOPS):
            reference = reference_of(value)
            if reference is None:
                return value
            value = self.at(reference)
        raise SpecificationError(f"{self.name}: {printable(str(value))} refers to itself")

    def at(self, reference: str) -> Any:
        """What stands at the end of a reference; raises SpecificationError."""
        shown = printable(reference, 200)
        if not reference.startswith("#"):
            raise SpecificationError(
                f"{self.name}: expected references within the document, found {shown}; bundle the specification first"
            )
        if reference != "#" and not reference.startswith("#/"):
            raise SpecificationError(f"{self.name}: expected a reference such as #/components/schemas/X, found {shown}")
        at = self.root
        for step in reference.split("/")[1:]:
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(at, list) and name.isdecimal() and int(name) < len(at):
                at = at[int(name)]
            elif isinstance(at, dict) and name in at:
                at = at[name]
            else:
                raise SpecificationError(f"{self.name}: {shown} leads nowhere: there is no {printable(name)}")
        return at


def reference_of(value: Any) -> str | None:
    """Where an object refers to; None for one that is itself."""
    reference = value.get("$ref") if isinstance(value, dict) else None
    return reference if isinstance(reference, str) else None


def mapping(value: Any) -> Mapping[str, Any]:
    """`value` if it is an object, else an empty one: what is not as OpenAPI has it is not there."""
    return value if isinstance(value, dict) else {}


def text(value: Any) -> str:
    """`value` if it is a text, else an empty one."""
    return value if isinstance(value, str) else ""


def _checked(specification: Specification) -> dict[str, Any]:
    name, root = specification.name, specification.content
    if not isinstance(root, dict):
        raise SpecificationError(f"{name}: expected an OpenAPI document, found no object")
    if "swagger" in root:
        raise SpecificationError(
            f"{name}: expected OpenAPI 3.0 or 3.1, found Swagger {printable(str(root['swagger']))}; convert it first, "
            "for example with the npm package swagger2openapi"
        )
    version = root.get("openapi")
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        found = "none" if version is None else printable(str(version))
        raise SpecificationError(f"{name}: expected the key openapi, 3.0 or 3.1, found {found}")
    if not isinstance(root.get("paths", {}), dict):
        raise SpecificationError(f"{name}: expected an object at paths")
    return root


def _lines(source: str) -> dict[str, int]:
    breaks = [match.start() for match in re.finditer("\n", source)]
    return {match[1].strip(): bisect_right(breaks, match.start()) + 1 for match in _OPERATION_ID.finditer(source)}
