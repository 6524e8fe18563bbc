"""How large a tool's answer may be, and where a larger one is cut: what `result.max_output` and its neighbours mean."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gateway.profile.faults import Contradiction, Finding
from gateway.profile.positions import KeyPath
from gateway.profile.profile import Profile
from gateway.profile.templates import fields
from gateway.profile.tools import Result, Tool
from gateway.profile.units import format_size

CURSOR = "cursor"
"""The argument that a tool with a budget takes beside its own."""
NEXT = "nextCursor"
"""The member of its structured content beside its own."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The largest answer of a tool, and what of it is cut."""

    max_output: int
    """Bytes of its text."""
    arrays: tuple[tuple[str, ...], ...]
    """The ways to the arrays whose elements are shared out; with none, the text is cut between lines."""


def budget_of(tool: Tool, default: int | None) -> Budget | None:
    """The budget of a tool; None where it has none, or where nothing says how its answers could be cut."""
    max_output = tool.result.max_output if tool.result.max_output is not None else default
    if max_output is None or not tool.annotations.read_only or _taken(tool):
        return None
    if tool.result.format == "text":
        return Budget(max_output, ())
    ways = tuple(tuple(way.split(".")) for way in tool.result.pages_of)
    declared = tuple((name,) for name, schema in _properties(tool.output).items() if _type(schema) == "array")
    arrays = ways or declared
    return Budget(max_output, arrays) if arrays else None


def budget_findings(path: KeyPath, tool: Tool) -> Iterator[Finding]:
    """What is wrong with the budget and the text of the tool at `path`."""
    result = tool.result
    at = (*path, "result")
    yield from _text_findings(at, result)
    if result.pages_of and result.format == "text":
        yield Finding((*at, "pages_of"), 'no pages_of beside format = "text", which is cut between lines')
    for index, way in enumerate(result.pages_of):
        if any(other != way and f"{way}.".startswith(f"{other}.") for other in result.pages_of):
            yield Finding((*at, "pages_of", index), "a way that does not lead into another array of pages_of")
        declared = _at(tool.output, way) if tool.output is not None else None
        if declared not in (None, "array"):
            yield Finding((*at, "pages_of", index), f"the way to an array; output declares {declared!r} there")
    if result.max_output is None:
        return
    limit = (*at, "max_output")
    if not tool.annotations.read_only:
        yield Finding(limit, "no budget for a tool that is not read-only: the rest would come from the cache")
    elif taken := _taken(tool):
        yield Finding(limit, f"no {taken} of the tool's own beside it, since it adds one", taken)
    elif budget_of(tool, None) is None:
        yield Finding(
            limit,
            'the key pages_of beside it, which names the arrays that are shared out, or format = "text"',
            format_size(result.max_output),
        )


def budget_contradictions(profile: Profile) -> Iterator[Contradiction]:
    """Ways to cut what is never cut."""
    for name, tool in profile.tools.items():
        if tool.result.pages_of and tool.result.max_output is None and profile.server.max_output is None:
            yield Contradiction(
                (("tools", name, "result", "pages_of"),),
                "nothing is cut without a budget",
                'add max_output = "24KB" beside it, or server.max_output for all tools',
            )


def _text_findings(path: KeyPath, result: Result) -> Iterator[Finding]:
    filled = fields(result.text) if result.text is not None else frozenset()
    for name in result.each:
        if name not in filled:
            where = f"{{{name}}} in result.text, where the lines of each.{name} go"
            yield Finding((*path, "each", name), where, "none", at="key")


def _taken(tool: Tool) -> str | None:
    """What a tool declares of its own that a budget would add."""
    if CURSOR in _properties(tool.input):
        return f"argument {CURSOR}"
    if NEXT in _properties(tool.output):
        return f"output {NEXT}"
    return None


def _properties(schema: dict[str, Any] | None) -> dict[str, Any]:
    declared = schema.get("properties") if schema is not None else None
    return declared if isinstance(declared, dict) else {}


def _type(schema: Any) -> Any:
    return schema.get("type") if isinstance(schema, dict) else None


def _at(schema: dict[str, Any], way: str) -> Any:
    """The type that a schema declares at the end of a way of member names; None where it says nothing of it."""
    at: Any = schema
    for step in way.split("."):
        at = _properties(at).get(step) if isinstance(at, dict) else None
    return _type(at)
