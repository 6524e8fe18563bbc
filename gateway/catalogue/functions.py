"""The functions that a profile's JMESPath expressions have beside the standard ones; the README lists them."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast
from urllib.parse import quote

from jmespath import functions

from gateway.catalogue import versions
from gateway.catalogue.difference import difference
from gateway.catalogue.jsontext import strict_json
from gateway.catalogue.records import filled

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W_a-zA-Z\d]+")


def words(text: str) -> list[str]:
    """The words of a name in any spelling, in lower case: "VarButton", "var-button" and "var_button" are two."""
    return [word.lower() for word in _WORDS.findall(text)]


LONG = frozenset(
    {"sections", "section", "passages", "code_blocks", "tables", "changelog", "diff", "diff_by", "diff_text"}
)
"""The functions that take long over a long document, though never more than in proportion."""

_F = TypeVar("_F", bound=Callable[..., Any])


def _takes(*types: str) -> Callable[[_F], _F]:
    """Declare the JMESPath types of a function's arguments; a call with others is an error of the expression."""
    declared = ({"types": [] if name == "any" else [name]} for name in types)
    return cast("Callable[[_F], _F]", functions.signature(*declared))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an expression can ask for beside the value that it is at."""

    arguments: Mapping[str, Any]
    root: Any = None
    releases: Mapping[str, str] = field(default_factory=dict)
    """The release that each fetch has read, by the fetch's name."""


class Functions(functions.Functions):  # type: ignore[misc]  # jmespath has no types
    """The standard functions and ours; `arg`, `root` and `release` answer from the surroundings."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._scopes: list[Mapping[str, Any]] = []

    @_takes("string")
    def _func_arg(self, name: str) -> Any:
        return self._surroundings.arguments.get(name)

    @_takes()
    def _func_root(self) -> Any:
        return self._surroundings.root

    @_takes("any", "object", "expref")
    def _func_let(self, value: Any, names: dict[str, Any], expression: Any) -> Any:
        """The expression over a value, in which `var` knows the members of `names`; of equal names the inner one."""
        self._scopes.append(names)
        try:
            return expression.visit(expression.expression, value)
        finally:
            self._scopes.pop()

    @_takes("string")
    def _func_var(self, name: str) -> Any:
        return next((scope[name] for scope in reversed(self._scopes) if name in scope), None)

    @_takes("string")
    def _func_release(self, name: str) -> str | None:
        return self._surroundings.releases.get(name)

    @_takes("string")
    def _func_kebab(self, text: str) -> str:
        return "-".join(words(text))

    @_takes("string")
    def _func_snake(self, text: str) -> str:
        return "_".join(words(text))

    @_takes("string")
    def _func_pascal(self, text: str) -> str:
        return "".join(word.capitalize() for word in words(text))

    @_takes("string")
    def _func_camel(self, text: str) -> str:
        name = self._func_pascal(text)
        return name[:1].lower() + name[1:]

    @_takes("string")
    def _func_lower(self, text: str) -> str:
        return text.lower()

    @_takes("string")
    def _func_trim(self, text: str) -> str:
        return text.strip()

    @_takes("string", "string")
    def _func_trim_prefix(self, text: str, prefix: str) -> str:
        return text.removeprefix(prefix)

    @_takes("string", "string")
    def _func_trim_suffix(self, text: str, suffix: str) -> str:
        return text.removesuffix(suffix)

    @_takes("string", "string", "string")
    def _func_replace(self, text: str, old: str, new: str) -> str:
        return text.replace(old, new)

    @_takes("string", "string")
    def _func_split(self, text: str, separator: str) -> list[str]:
        return text.split(separator) if separator else [text]

    @_takes("string")
    def _func_lines(self, text: str) -> list[str]:
        return text.splitlines()

    @_takes("string")
    def _func_base64(self, text: str) -> str:
        return base64.b64encode(text.encode("utf-8", "replace")).decode()

    @_takes("string")
    def _func_url_encode(self, text: str) -> str:
        return quote(text.encode("utf-8", "replace"), safe="")

    @_takes("any")
    def _func_json(self, value: Any) -> str:
        return strict_json(value)

    @_takes("array")
    def _func_unique(self, values: list[Any]) -> list[Any]:
        """Each value once, in the order of the array; 1, 1.0 and true are three."""
        found: dict[str, Any] = {}
        for value in values:
            found.setdefault(strict_json(value, sort_keys=True), value)
        return list(found.values())

    @_takes("object", "string")
    def _func_get(self, value: dict[str, Any], name: str) -> Any:
        """A member whose name is known only when asked."""
        return value.get(name)

    @_takes("object")
    def _func_items(self, value: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"key": name, "value": member} for name, member in value.items()]

    @_takes("array")
    def _func_from_items(self, items: list[Any]) -> dict[str, Any]:
        return {item["key"]: item.get("value") for item in items if isinstance(item["key"], str)}

    @_takes("array", "any")
    def _func_take(self, values: list[Any], most: Any) -> list[Any]:
        """The first so many; all of them where the number is null: an argument that was not given."""
        return values if most is None else values[: max(0, int(most))]

    @_takes("string", "any")
    def _func_format(self, template: str, value: Any) -> str:
        return filled(template, value)

    @_takes("string")
    def _func_code_blocks(self, text: str) -> list[dict[str, Any]]:
        from gateway.catalogue.markdown import code_blocks

        return code_blocks(text)

    @_takes("string")
    def _func_sections(self, text: str) -> list[dict[str, Any]]:
        from gateway.catalogue.markdown import sections

        return sections(text)

    @_takes("string")
    def _func_passages(self, text: str) -> list[dict[str, Any]]:
        from gateway.catalogue.markdown import passages

        return passages(text)

    @_takes("string", "string")
    def _func_section(self, text: str, title: str) -> str | None:
        from gateway.catalogue.markdown import section

        return section(text, title)

    @_takes("string")
    def _func_tables(self, text: str) -> list[dict[str, Any]]:
        from gateway.catalogue.markdown import tables

        return tables(text)

    @_takes("string")
    def _func_changelog(self, text: str) -> list[dict[str, Any]]:
        from gateway.catalogue.markdown import changelog

        return changelog(text)

    @_takes("string")
    def _func_plain(self, text: str) -> str:
        from gateway.catalogue.markdown import plain

        return plain(text)

    @_takes("any", "any")
    def _func_diff(self, old: Any, new: Any) -> list[dict[str, Any]]:
        return difference(old, new)

    @_takes("any", "any", "string")
    def _func_diff_by(self, old: Any, new: Any, key: str) -> list[dict[str, Any]]:
        return difference(old, new, key)

    @_takes("string", "string")
    def _func_diff_text(self, old: str, new: str) -> str:
        from gateway.catalogue.text_difference import text_difference

        return text_difference(old, new)

    # Versions are asked of whatever a document says: what is no version has no answer, which is null.

    @_takes("any", "any")
    def _func_satisfies(self, version: Any, wanted: Any) -> bool | None:
        return versions.satisfies(version, wanted)

    @_takes("any", "any")
    def _func_semver_compare(self, one: Any, other: Any) -> int | None:
        return versions.compare(one, other)

    @_takes("any", "any", "any")
    def _func_between(self, version: Any, after: Any, until: Any) -> bool | None:
        return versions.between(version, after, until)

    @_takes("array")
    def _func_semver_sort(self, values: list[Any]) -> list[str]:
        return versions.ascending(values)

    @_takes("array", "any")
    def _func_max_satisfying(self, values: list[Any], wanted: Any) -> str | None:
        return versions.highest(values, wanted)

    @_takes("string")
    def _func_find_version(self, text: str) -> str | None:
        return versions.release_in(text)
