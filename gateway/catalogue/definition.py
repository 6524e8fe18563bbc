"""A declared tool as `tools/list` shows it, made of its section alone: what can be told before anything is open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.profile.budget import CURSOR, NEXT, Budget
from gateway.profile.tools import Tool as ToolSection


def input_schema(section: ToolSection, budget: Budget | None) -> dict[str, Any]:
    """The schema that clients see and arguments are checked by: as declared, and closed unless it says otherwise.

    A tool whose answers may be cut takes a cursor as well.
    """
    declared = {"type": "object", "properties": {}, "additionalProperties": False, **section.input}
    if budget is None:
        return declared
    about = {
        "type": "string",
        "maxLength": 64,
        "description": "for the next part of a long answer: the cursor that came with the last one; same arguments",
    }
    return {**declared, "properties": {**declared["properties"], CURSOR: about}}


def output_schema(section: ToolSection, budget: Budget | None) -> dict[str, Any] | None:
    """The schema of structured content, as clients see it; None where none is declared."""
    declared = section.output
    if declared is None or budget is None:
        return declared
    about = {"type": "string", "description": f"there is more: pass it as {CURSOR} with the same arguments"}
    return {**declared, "properties": {**declared.get("properties", {}), NEXT: about}}


def tool_definition(name: str, section: ToolSection, budget: Budget | None) -> Mapping[str, Any]:
    """The tool as `tools/list` shows it."""
    hints = section.annotations
    definition: dict[str, Any] = {
        "name": name,
        "description": section.description,
        "inputSchema": input_schema(section, budget),
    }
    if section.title:
        definition["title"] = section.title
    output = output_schema(section, budget)
    if output is not None:
        definition["outputSchema"] = output
    definition["annotations"] = {
        "readOnlyHint": hints.read_only,
        "idempotentHint": hints.idempotent,
        "destructiveHint": hints.destructive,
        "openWorldHint": hints.open_world,
    }
    return definition
