"""What differs between two JSON values, by key path, in time and memory linear in their size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from gateway.catalogue.jsontext import strict_json

MAX_STEPS = 1_000_000
"""Steps of all paths together, and so the memory that an answer may take beside the values in it."""

_Part = tuple[str, Any, Any]
"""A step, and the value there before and after."""
_ABSENT = object()


def difference(old: Any, new: Any, key: str | None = None) -> list[dict[str, Any]]:
    """Every difference between two values: {"change", "path", "old", "new"}, in the order of the values.

    `change` is "added" (no `old`), "removed" (no `new`) or "changed"; `path` holds the steps as texts. Objects are
    compared member by member. Arrays of objects that each have a distinct `key` are compared by it, and the step is its
    value. Of other arrays the elements that only one side has are told, with their index; their order is not compared.
    1, 1.0, true and "1" are four values. Raises ValueError for values that differ in too many places to be told.
    """
    changes: list[dict[str, Any]] = []
    steps = 0
    path: list[str] = []
    levels: list[Iterator[_Part]] = [iter([("", old, new)])]  # no recursion: documents may be nested deeply
    while levels:
        part = next(levels[-1], None)
        if part is None:
            levels.pop()
            del path[-1:]
            continue
        step, before, after = part
        path.append(step)
        parts = _parts(before, after, key)
        if parts is not None:
            levels.append(parts)
            continue
        if not _same(before, after):
            steps += len(path)
            if steps > MAX_STEPS:
                raise ValueError("the two documents differ in too many places to be told one by one")
            changes.append(_change(path[1:], before, after))
        path.pop()
    return changes


def _change(path: list[str], before: Any, after: Any) -> dict[str, Any]:
    if before is _ABSENT:
        return {"change": "added", "path": path, "new": after}
    if after is _ABSENT:
        return {"change": "removed", "path": path, "old": before}
    return {"change": "changed", "path": path, "old": before, "new": after}


def _same(before: Any, after: Any) -> bool:
    """Whether two values that can't be taken apart are one; whole objects and arrays only meet others or nothing."""
    if isinstance(before, dict | list) or isinstance(after, dict | list) or before is _ABSENT or after is _ABSENT:
        return False
    return type(before) is type(after) and bool(before == after)


def _parts(before: Any, after: Any, key: str | None) -> Iterator[_Part] | None:
    """Both values step by step, _ABSENT where one has no such; None where they can't be compared so."""
    match before, after:
        case dict(), dict():
            return _members(before, after)
        case list(), list():
            one, other = _by_key(before, key), _by_key(after, key)
            if one is not None and other is not None:
                return _members(one, other)
            return _elements(before, after)
    return None


def _members(before: dict[str, Any], after: dict[str, Any]) -> Iterator[_Part]:
    for name, value in before.items():
        yield name, value, after.get(name, _ABSENT)
    for name, value in after.items():
        if name not in before:
            yield name, _ABSENT, value


def _by_key(values: list[Any], key: str | None) -> dict[str, Any] | None:
    """The elements by what they are called; None where one is called nothing or what another is."""
    if key is None:
        return None
    found: dict[str, Any] = {}
    for value in values:
        name = value.get(key) if isinstance(value, dict) else None
        if not isinstance(name, str) or name in found:
            return None
        found[name] = value
    return found


def _elements(before: list[Any], after: list[Any]) -> Iterator[_Part]:
    """The elements that only one of two arrays has, each as often as it has it more."""
    left, right = [_spelled(value) for value in before], [_spelled(value) for value in after]
    for index in _only(left, right):
        yield str(index), before[index], _ABSENT
    for index in _only(right, left):
        yield str(index), _ABSENT, after[index]


def _only(mine: list[bytes], others: list[bytes]) -> Iterator[int]:
    """Where in `mine` stands what `others` do not have, or have less often."""
    counted: dict[bytes, int] = {}
    for other in others:
        counted[other] = counted.get(other, 0) + 1
    for index, value in enumerate(mine):
        if counted.get(value, 0):
            counted[value] -= 1
        else:
            yield index


def _spelled(value: Any) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer beyond 64 bits
        return strict_json(value, sort_keys=True).encode()
