"""From a merged profile to a `Profile`, or to what is wrong with it: pydantic's errors as sentences of ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway.profile.faults import Finding, did_you_mean, listed, shown
from gateway.profile.positions import KeyPath, dotted
from gateway.profile.profile import Profile
from gateway.profile.shape import Trace, child, discriminator, enumerated, names, trace, variants

_ROUNDS = 20
"""How often faulty parts are cut off before giving up; each round cuts one level, and sections nest five deep."""

_KINDS = {
    "string_type": "a string",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "list_type": "an array",
    "tuple_type": "an array",
}

_BOUNDS: dict[str, Callable[[dict[str, Any]], str]] = {
    "greater_than": lambda ctx: f"more than {ctx['gt']:g}",
    "greater_than_equal": lambda ctx: f"at least {ctx['ge']:g}",
    "less_than": lambda ctx: f"less than {ctx['lt']:g}",
    "less_than_equal": lambda ctx: f"at most {ctx['le']:g}",
    "string_too_short": lambda ctx: "text" if ctx["min_length"] == 1 else f"at least {ctx['min_length']} characters",
    "string_too_long": lambda ctx: f"at most {ctx['max_length']} characters",
    "string_pattern_mismatch": lambda ctx: f"text that matches {ctx['pattern']}",
    "too_short": lambda ctx: f"an array of {ctx['min_length']} or more",
    "too_long": lambda ctx: f"an array of at most {ctx['max_length']}",
}


def validate(table: dict[str, Any]) -> tuple[Profile | None, tuple[Finding, ...]]:
    """The profile that `table` says, or None and everything that the schema finds wrong with it."""
    try:
        return Profile.model_validate(table), ()
    except ValidationError as error:
        details = error.errors(include_url=False)
        return None, tuple(_finding(detail) for detail in details if not _consequence(detail))


def salvage(table: dict[str, Any], findings: Sequence[Finding]) -> Profile | None:
    """The profile without its faulty parts, so that what is left can be checked too; None where nothing holds.

    `table` is cut in place. A tool whose input is faulty goes as a whole: nobody knows its arguments.
    """
    for _ in range(_ROUNDS):
        for finding in findings:
            _cut(table, finding.path)
        profile, findings = validate(table)
        if profile is not None:
            return profile
    return None


def _cut(table: dict[str, Any], path: KeyPath) -> None:
    """Remove the value at `path`; where it is missing or within an array, what would hold it."""
    if path[:1] == ("tools",) and path[2:3] == ("input",):
        path = path[:2]
    holder: Any = table
    last: tuple[dict[str, Any], str] | None = None
    for step in path:
        if not isinstance(holder, dict) or not isinstance(step, str) or step not in holder:
            break
        last, holder = (holder, step), holder[step]
    if last is not None:
        within, key = last
        within.pop(key)


def _consequence(detail: ErrorDetails) -> bool:
    """Whether pydantic counts an array as too short only because its elements are faulty: those are told already."""
    if detail["type"] != "too_short":
        return False
    array = detail["input"]
    return isinstance(array, list) and len(array) >= detail["ctx"]["min_length"]


def _finding(detail: ErrorDetails) -> Finding:
    at = trace(detail["loc"], marks=detail["type"] != "extra_forbidden")
    ctx = detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            return _unknown_key(at)
        case "missing":
            return Finding(at.path, f"the key {dotted(at.path[-1:])}", "none", absent=True)
        case "union_tag_not_found" | "union_tag_invalid":
            return _unknown_type(at, ctx.get("tag"))
        case "literal_error":
            words = enumerated(child(at.parent, at.path[-1]))
            return _unknown_word(at.path, detail["input"], words)
        case "expected":
            return _own(at, detail)
        case kind if kind in _KINDS:
            return Finding(at.path, _KINDS[kind])
        case kind if kind in _BOUNDS:
            return Finding(at.path, _BOUNDS[kind](ctx))
        case _:
            return Finding(at.path, "another value", detail=detail["msg"])


def _own(at: Trace, detail: ErrorDetails) -> Finding:
    """A fault that a validator of ours has found; of a whole table, another file may mend it."""
    ctx = detail["ctx"]
    return Finding(
        at.path,
        ctx["expected"],
        found=shown(at.path[-1]) if at.at_key else ctx.get("found"),
        suggestion=ctx.get("suggestion"),
        detail=ctx.get("detail"),
        at="key" if at.at_key else "value",
        absent=isinstance(detail["input"], dict),
    )


def _unknown_key(at: Trace) -> Finding:
    key, known = str(at.path[-1]), names(at.parent)
    if at.parent is Profile:
        known = ("extends", *known)
    return Finding(at.path, f"one of the keys {listed(known)}", shown(key), did_you_mean(key, known), at="key")


def _unknown_type(at: Trace, tag: object) -> Finding:
    kinds = variants(child(at.parent, at.path[-1]))
    key, tags = discriminator(next(iter(kinds.values()))), tuple(kinds)
    path = (*at.path, key)
    if tag is None:
        return Finding(path, f"the key {key}, {listed(map(shown, tags))}", "none", absent=True)
    return _unknown_word(path, tag, tags)


def _unknown_word(path: KeyPath, word: object, words: tuple[str, ...]) -> Finding:
    near = did_you_mean(word, words) if isinstance(word, str) else None
    return Finding(path, listed(map(shown, words)), suggestion=shown(near) if near else None)
