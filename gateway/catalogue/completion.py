"""Completion: the values that a profile or a tool's answer has for an argument, narrowed down by what is typed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from gateway.catalogue.calls import ToolCalls
from gateway.catalogue.content import JsonContent
from gateway.catalogue.select import Selection
from gateway.catalogue.tool import Tool
from gateway.profile.budget import CURSOR
from gateway.profile.offers import Completion as CompletionSection

MOST = 100
"""Values of one answer (MCP, "Completion": "must not exceed 100 items")."""
_PARTS = 50
"""Most parts of a tool's answer that are looked through."""


class Completion:
    """What may stand for one argument."""

    def __init__(self, key: str, section: CompletionSection, tools: Mapping[str, Tool], calls: ToolCalls) -> None:
        self._values = section.values
        self._tool = tools[section.tool] if section.tool is not None else None
        self._arguments = JsonContent(section.arguments)
        self._select = Selection(f"{key}.select", section.select) if section.select is not None else None
        self._calls = calls

    async def of(self, typed: str, given: Mapping[str, Any], caller: str) -> dict[str, Any]:
        """The CompleteResult for what is typed; `given` are the arguments that the client has already.

        What begins with it comes before what only contains it, whatever its case. Raises ToolError and UpstreamError.
        """
        found = ranked(typed, self._values if self._tool is None else await self._answered(self._tool, given, caller))
        about = {"values": found[:MOST], "total": len(found), "hasMore": len(found) > MOST}
        return {"completion": about}

    async def _answered(self, tool: Tool, given: Mapping[str, Any], caller: str) -> list[str]:
        """The values in the tool's answer, through all its parts."""
        arguments = self._arguments.value(given)
        values: list[str] = []
        cursor: str | None = None
        for _ in range(_PARTS):
            asked = arguments if cursor is None else {**arguments, CURSOR: cursor}
            called = await self._calls.ask(tool, asked, caller=caller)
            structured = orjson.loads(called.payload).get("structuredContent")
            found = self._select.of(structured, arguments) if self._select is not None else None
            values += [value for value in found if isinstance(value, str)] if isinstance(found, list) else []
            cursor = called.following
            if cursor is None:
                break
        return values


async def completed(completions: Mapping[str, Completion], rest: Mapping[str, Any], caller: str) -> dict[str, Any]:
    """The CompleteResult for a request's `argument` and `context`; nothing for an argument without values."""
    argument = rest.get("argument") or {}
    completion = completions.get(argument.get("name", ""))
    if completion is None:
        return {"completion": {"values": [], "total": 0, "hasMore": False}}
    given = (rest.get("context") or {}).get("arguments") or {}
    return await completion.of(str(argument.get("value", "")), given, caller)


def ranked(typed: str, values: Iterable[str]) -> list[str]:
    """The values that contain what is typed, each once, first those that begin with it."""
    wanted = typed.casefold()
    having = [value for value in dict.fromkeys(values) if wanted in value.casefold()]
    return sorted(having, key=lambda value: not value.casefold().startswith(wanted))
