"""`gateway schema`: the JSON Schema of profiles, for editors that complete and check TOML by it."""

from __future__ import annotations

import json
from typing import Annotated, Any

from cyclopts import Parameter

from gateway.profile.documentation import describe
from gateway.profile.profile import Profile
from gateway.profile.reference import reference

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(
    *, markdown: Annotated[bool, Parameter(negative="", help="Print every key as Markdown tables instead.")] = False
) -> int:
    """Print the JSON Schema of a profile.

    Editors with taplo or Even Better TOML complete, explain and check a profile that begins with the line
    `#:schema ./profile.schema.json`.
    """
    if markdown:
        print(reference(), end="")
        return 0
    print(json.dumps(profile_schema(), indent=2, ensure_ascii=False))
    return 0


def profile_schema() -> dict[str, Any]:
    """What a profile's file may hold, `extends` included, as JSON Schema 2020-12."""
    described = Profile.model_json_schema(mode="serialization")  # the mode in which defaults are "256MB", not 256000000
    describe(described, Profile)
    extends = {
        "type": "array",
        "items": {"type": "string"},
        "default": [],
        "title": "Extends",
        "description": "Profiles that this one builds on, the later over the earlier; this file wins over all.",
    }
    tool = described["$defs"]["Tool"]
    tool.pop("required")  # what is missing may come from its defaults, or from a file that this one extends
    named = described["properties"]
    named["tool_defaults"]["patternProperties"] = named["tools"]["patternProperties"]
    properties = {"extends": extends, **described.pop("properties")}
    return {"$schema": DIALECT, **described, "properties": properties}
