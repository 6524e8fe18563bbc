"""A call's arguments: checked against the tool's schema, completed, normalised, and made into a canonical key."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import jsonschema_rs
import orjson

from gateway.catalogue.jsontext import strict_json
from gateway.catalogue.select import Selection
from gateway.errors import ToolError, UpstreamInvalid
from gateway.printable import printable

_MAX_KEY = 512
"""Characters of arguments that stand in a key as they are; longer ones stand there as their hash."""
_MAX_FAULTS = 5


class Arguments:
    """What a tool takes, by the JSON Schema that clients see."""

    def __init__(self, tool: str, schema: dict[str, Any], normalize: Mapping[str, str]) -> None:
        self.schema = schema
        self._validator = jsonschema_rs.validator_for(self.schema)
        properties = self.schema["properties"]
        described = {name: about for name, about in properties.items() if isinstance(about, dict)}  # or it is `true`
        self._defaults = {name: about["default"] for name, about in described.items() if "default" in about}
        self._normalize = {
            name: Selection(f"tools.{tool}.normalize.{name}", expression) for name, expression in normalize.items()
        }
        self._takes = ", ".join(properties) or "no arguments"

    def complete(self, given: Mapping[str, Any] | None) -> dict[str, Any]:
        """`given` with defaults filled in and spellings normalised; raises ToolError with every fault.

        Null and absent arguments are the same as none. Idempotent where the expressions of `normalize` are.
        """
        arguments = {**self._defaults, **(given or {})}
        try:
            complaint = None if self._validator.is_valid(arguments) else self._complaint(arguments)
        except ValueError as error:  # a number or a text that JSON can't hold
            raise ToolError(f"Invalid arguments: {error}") from None
        if complaint is not None:
            raise ToolError(complaint)
        for name, selection in self._normalize.items():
            if isinstance(arguments.get(name), str):
                try:
                    arguments[name] = selection.of(arguments, arguments)
                except UpstreamInvalid as error:
                    raise ToolError(f"Invalid arguments: {error}") from error
        return arguments

    def _complaint(self, arguments: Mapping[str, Any]) -> str:
        faults = []
        for error in self._validator.iter_errors(arguments):
            where = ".".join(map(str, error.instance_path))
            said = _shortened(error.message)
            faults.append(printable(f"{where}: {said}" if where else said, 400))
        more = f" and {len(faults) - _MAX_FAULTS} more" if len(faults) > _MAX_FAULTS else ""
        return f"Invalid arguments: {'; '.join(faults[:_MAX_FAULTS])}{more}. This tool takes: {self._takes}."


def _shortened(message: str) -> str:
    """A message that begins with the value that it is about: of a long one both ends, since the reason comes last."""
    return message if len(message) <= 300 else f"{message[:150]}…{message[-120:]}"


def canonical(arguments: Mapping[str, Any]) -> str:
    """The one spelling of `arguments`: sorted, without spaces; `1`, `1.0`, `true` and `"1"` are four.

    Raises ToolError for what JSON can't hold: half of a surrogate pair, NaN, infinity.
    """
    try:
        text = orjson.dumps(arguments, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:
        text = _strictly(arguments)  # an integer beyond 64 bits, or something that is no JSON
    if "null" in text:
        _strictly(arguments)  # orjson writes NaN and infinity as null
    if len(text) <= _MAX_KEY:
        return text
    return f"sha256-{hashlib.sha256(text.encode()).hexdigest()}"


def _strictly(arguments: Mapping[str, Any]) -> str:
    try:
        return strict_json(arguments, sort_keys=True)
    except ValueError as error:
        raise ToolError(f"Invalid arguments: {error}") from None
