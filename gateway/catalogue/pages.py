"""Answers that are larger than their budget: cut into parts once, kept as a whole, and given out part by part.

The whole is one entry of the cache, a JSON object that holds every part as the final bytes of a result: a part is found
by its offset, and nothing is parsed but the offsets. An answer within the budget is kept as if there was none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from gateway.catalogue.cursor import LENGTH, Cursor, digest, parse_cursor
from gateway.catalogue.cut import shares, texts
from gateway.catalogue.jsontext import to_json
from gateway.catalogue.result import Form, spelled, with_note
from gateway.errors import ToolError, UpstreamInvalid
from gateway.profile.budget import NEXT, Budget
from gateway.profile.units import format_size

_Way = tuple[str, ...]

NEXT_CURSOR = "gateway/nextCursor"
"""The key in a result's `_meta` under which programs find the cursor of the next part."""

_HEAD = b'{"whole":"'
_PARTS = b',"parts":['
_NOTE = 200
"""Bytes kept free for the sentence on how to go on, beside the tool's name."""
_CHANGED = "The answer has changed since this cursor was given: start again without cursor."


class Pager:
    """Cuts the answers of one tool, and finds the part that a call asks for."""

    def __init__(self, tool: str, budget: Budget, form: Form, check: Callable[[Any], None]) -> None:
        self._tool = tool
        self._budget = budget
        self._form = form
        self._check = check
        self._room = budget.max_output - _NOTE - len(tool)

    def render(self, value: Any, key: str) -> bytes:
        """The result of `value` or, where that is larger than the budget, all its parts; `key` is the call's.

        Raises ValueError for what JSON can't hold, and UpstreamInvalid for what can't be cut.
        """
        whole = self._form.of(value)
        size = spelled(whole)
        if size <= self._budget.max_output:
            return to_json(whole)
        identity = digest(to_json(whole))
        cursor = Cursor(1, digest(key.encode()), identity)
        if self._budget.arrays:
            parts = list(self._of_arrays(self._form.structured(value), cursor))
        else:
            parts = list(self._of_text(whole, cursor))
        return _bound(identity, parts) if len(parts) > 1 else to_json(whole)

    def page(self, payload: bytes, key: str, asked: str | None) -> tuple[bytes, str | None]:
        """The part that the cursor `asked` means, by default the first, and the cursor of the next one.

        Raises ToolError for a cursor of another call or of nobody's, and for one of an answer that is no more.
        """
        cursor = parse_cursor(asked, key) if asked is not None else None
        if not payload.startswith(_HEAD):
            if cursor is not None:
                raise ToolError(_CHANGED)
            return payload, None
        start = payload.index(_PARTS) + len(_PARTS)
        about = orjson.loads(payload[: start - len(_PARTS)] + b"}")
        identity, sizes = bytes.fromhex(about["whole"]), about["sizes"]
        number = cursor.number if cursor is not None else 0
        if cursor is not None and (cursor.whole != identity or number >= len(sizes)):
            raise ToolError(_CHANGED)
        start += sum(sizes[:number]) + number
        following = Cursor(number + 1, digest(key.encode()), identity)
        return payload[start : start + sizes[number]], str(following) if number + 1 < len(sizes) else None

    def _of_text(self, whole: dict[str, Any], first: Cursor) -> Iterator[bytes]:
        if "structuredContent" in whole:  # what was to be text is something else
            raise self._uncut("it is no text")
        parts = list(texts(whole["content"][0]["text"], self._room))
        for number, text in enumerate(parts):
            part = {"content": [{"type": "text", "text": text}]}
            yield to_json(with_note(part, self._note(number, len(parts), first)))

    def _of_arrays(self, structured: dict[str, Any], first: Cursor) -> Iterator[bytes]:
        arrays = {way: _at(structured, way) for way in self._budget.arrays}
        found = {way: elements for way, elements in arrays.items() if isinstance(elements, list)}
        names = " and ".join(".".join(way) for way in arrays)
        if not found:
            raise self._uncut(f"there is no array at {names}")
        beside = spelled(self._form.of(_with(structured, {way: [] for way in found})))
        room = self._room - beside - LENGTH - len(NEXT) - len('"":"",')
        if room < self._room // 2:
            raise self._uncut(f"what stands beside {names} takes more than half of that")
        costs = [self._form.cost(way, element) for way, elements in found.items() for element in elements]
        cuts = list(shares(costs, room))
        for number, (start, end) in enumerate(cuts):
            part = _with(structured, _shared(found, start, end))
            if number + 1 < len(cuts):
                part[NEXT] = str(_numbered(first, number + 1))
            self._check(part)
            yield to_json(with_note(self._form.of(part), self._note(number, len(cuts), first)))

    def _note(self, number: int, count: int, first: Cursor) -> str:
        part = f"Part {number + 1} of {count}"
        if number + 1 == count:
            return f"{part}, the last one."
        following = _numbered(first, number + 1)
        return f'{part}. For the next one call {self._tool} with the same arguments and cursor = "{following}".'

    def _uncut(self, reason: str) -> UpstreamInvalid:
        limit = format_size(self._budget.max_output)
        return UpstreamInvalid(self._tool, f"the answer is larger than result.max_output ({limit}) and {reason}")


def _numbered(cursor: Cursor, number: int) -> Cursor:
    return Cursor(number, cursor.key, cursor.whole)


def _bound(identity: bytes, parts: list[bytes]) -> bytes:
    about = b'%b%b","sizes":%b' % (_HEAD, identity.hex().encode(), orjson.dumps([len(part) for part in parts]))
    return b"%b%b%b]}" % (about, _PARTS, b",".join(parts))


def _at(value: Any, way: _Way) -> Any:
    for step in way:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _shared(arrays: Mapping[_Way, list[Any]], start: int, end: int) -> dict[_Way, list[Any]]:
    """What each array has of the elements from `start` to `end`, counted through all of them."""
    shared = {}
    for way, elements in arrays.items():
        shared[way] = elements[max(0, start) : max(0, end)]
        start, end = start - len(elements), end - len(elements)
    return shared


def _with(value: dict[str, Any], arrays: Mapping[_Way, list[Any]]) -> dict[str, Any]:
    """The value with other elements in some arrays."""
    changed = dict(value)
    for way, elements in arrays.items():
        at = changed
        for step in way[:-1]:
            at[step] = dict(at[step])
            at = at[step]
        at[way[-1]] = elements
    return changed
