"""What clients say of themselves: whether it is beyond doubt as MCP wants it, without the SDK's models.

Where these say no, it may still be right, or ignored; that is for the SDK to judge.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeGuard

_LEVELS = frozenset({"alert", "critical", "debug", "emergency", "error", "info", "notice", "warning"})
_CLIENT = frozenset({"name", "title", "version", "description", "websiteUrl"})
_ICON = frozenset({"src", "mimeType", "sizes", "theme"})
_THEMES = frozenset({"dark", "light"})


def are_capabilities(value: object) -> bool:
    """Whether it is a ClientCapabilities of either era."""
    return _is_object(value) and all(_is_capability(name, each) for name, each in value.items())


def is_client_info(value: object) -> bool:
    """Whether it is an Implementation."""
    if not _is_object(value) or not {"name", "version"} <= value.keys():
        return False
    texts = {key: each for key, each in value.items() if key != "icons"}
    icons = value.get("icons", [])
    return _are_texts(texts, _CLIENT) and isinstance(icons, list) and all(map(_is_icon, icons))


def is_log_level(value: object) -> bool:
    """Whether it is a LoggingLevel."""
    return isinstance(value, str) and value in _LEVELS


def _is_capability(name: str, value: object) -> bool:
    if not _is_object(value):
        return False
    if name == "roots":
        return not value or (value.keys() == {"listChanged"} and isinstance(value["listChanged"], bool))
    if name in ("experimental", "extensions"):
        return all(map(_is_object, value.values()))
    return _is_tree(value)


def _is_tree(value: object) -> bool:
    return _is_object(value) and all(map(_is_tree, value.values()))


def _is_icon(value: object) -> bool:
    if not _is_object(value) or "src" not in value:
        return False
    sizes, theme = value.get("sizes", []), value.get("theme", "dark")
    texts = {key: each for key, each in value.items() if key != "sizes"}
    return (
        _are_texts(texts, _ICON)
        and theme in _THEMES
        and isinstance(sizes, list)
        and all(isinstance(each, str) for each in sizes)
    )


def _are_texts(value: Mapping[str, Any], known: Collection[str]) -> bool:
    return all(key in known and isinstance(each, str) for key, each in value.items())


def _is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)
