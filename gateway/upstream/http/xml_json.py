"""XML as JSON, by the mapping of xmltodict.

An element is a member by its name; repeated ones are an array. Attributes are `@name`, the text beside attributes or
elements is `#text`, an element with text alone is that string, and an empty one is null. Prefixes stay as written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.parsers.expat import ExpatError

import xmltodict

from gateway.packed import packed_json

_DEPTH = 200
"""Levels of elements; what is deeper could not be written as JSON."""
_ELEMENTS = 500_000
"""Elements and attributes; as data each takes some hundred bytes."""


class NotXml(ValueError):
    """Text that is no XML, or not such as is taken."""


def xml_as_json(text: bytes) -> bytes:
    """`text`, which is UTF-8 whatever it says of itself, as JSON.

    Raises NotXml, also for a document that declares entities (it could grow without bounds, or name files), that is
    deeper than 200 elements, or has more than 500 000 of them. Bounded in time and memory by the size of `text`.
    """
    count = 0

    def bounded(path: Sequence[tuple[str, Any]], key: str, value: Any) -> tuple[str, Any]:
        nonlocal count
        count += 1
        if len(path) > _DEPTH:
            raise NotXml(f"its elements are more than {_DEPTH} deep")
        if count > _ELEMENTS:
            raise NotXml(f"it has more than {_ELEMENTS} elements and attributes")
        return key, value

    try:
        # In the encoding that is given, whatever the declaration says: it was decoded before.
        return packed_json(xmltodict.parse(text, encoding="utf-8", postprocessor=bounded, disable_entities=True))
    except ExpatError as error:
        raise NotXml(str(error)) from None
    except NotXml:
        raise
    except ValueError as error:  # xmltodict's own
        reason = "it declares entities, which are not taken" if "entities" in str(error) else str(error)
        raise NotXml(reason) from None
