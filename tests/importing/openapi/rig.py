"""From a specification that a test writes to a profile that the loader has accepted."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from gateway.importing.openapi.catalogue import Choice, Imported, imported
from gateway.importing.source import Specification
from gateway.profile.loader import load_profile
from gateway.profile.profile import Profile

SERVERS = [{"url": "https://api.example.org/v1"}]


def specification(paths: dict[str, Any], **more: Any) -> Specification:
    """An OpenAPI 3.0 document with these paths."""
    content = {"openapi": "3.0.3", "info": {"title": "The API"}, "servers": SERVERS, "paths": paths, **more}
    return Specification("spec.json", json.dumps(content, indent=1), content)


def catalogue(paths: dict[str, Any], *, choice: Choice = Choice(), **more: Any) -> Imported:  # noqa: B008  # frozen
    """What is imported of these paths."""
    return imported(specification(paths, **more), choice)


def tools_of(result: Imported) -> dict[str, Any]:
    """The tools as they are written."""
    tools = tomllib.loads(result.text)["tools"]
    assert isinstance(tools, dict)
    return tools


def tool(operation: dict[str, Any], path: str = "/a", method: str = "get", **more: Any) -> dict[str, Any]:
    """The one tool of an operation, as it is written."""
    (found,) = tools_of(catalogue({path: {method: operation}}, **more)).values()
    assert isinstance(found, dict)
    return found


def loaded(folder: Path, result: Imported) -> Profile:
    """The catalogue as a profile: it has to load without a fault."""
    (folder / "imported.toml").write_text(result.text)
    return load_profile("imported", environ={}, cwd=folder, folders=[folder]).profile


def parameter(name: str, position: str, **more: Any) -> dict[str, Any]:
    """A parameter; a text unless it says otherwise."""
    return {"name": name, "in": position, "schema": {"type": "string"}, "required": position == "path", **more}
