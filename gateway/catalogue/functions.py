"""The functions that a profile's JMESPath expressions have beside the standard ones; the README lists them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from jmespath import functions

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W_a-zA-Z\d]+")


def words(text: str) -> list[str]:
    """The words of a name in any spelling, in lower case: "VarButton", "var-button" and "var_button" are two."""
    return [word.lower() for word in _WORDS.findall(text)]


_F = TypeVar("_F", bound=Callable[..., Any])


def _takes(*types: str) -> Callable[[_F], _F]:
    """Declare the JMESPath types of a function's arguments; a call with others is an error of the expression."""
    return cast("Callable[[_F], _F]", functions.signature(*({"types": [name]} for name in types)))


class Functions(functions.Functions):  # type: ignore[misc]  # jmespath has no types
    """The standard functions and ours; `arg` answers from the call's arguments."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self._arguments = arguments

    @_takes("string")
    def _func_arg(self, name: str) -> Any:
        return self._arguments.get(name)

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
    def _func_code_blocks(self, markdown: str) -> list[dict[str, Any]]:
        from gateway.catalogue.markdown import code_blocks

        return code_blocks(markdown)

    @_takes("string")
    def _func_sections(self, markdown: str) -> list[dict[str, Any]]:
        from gateway.catalogue.markdown import sections

        return sections(markdown)

    @_takes("string", "string")
    def _func_section(self, markdown: str, title: str) -> str | None:
        from gateway.catalogue.markdown import section

        return section(markdown, title)
