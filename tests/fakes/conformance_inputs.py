"""What the tools and the prompt of the conformance suite want to know of their client before they answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import mcp_types as types
from mcp.shared.exceptions import MCPError

Json = dict[str, Any]

_CAPABILITY = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots"}


def form(message: str, required: bool = True, **properties: Any) -> Json:
    """A question to the user."""
    schema: Json = {"type": "object", "properties": properties}
    if required:
        schema["required"] = list(properties)
    params = {"mode": "form", "message": message, "requestedSchema": schema}
    return {"method": "elicitation/create", "params": params}


def sample(prompt: str) -> Json:
    """A question to the model."""
    message = {"role": "user", "content": {"type": "text", "text": prompt}}
    return {"method": "sampling/createMessage", "params": {"messages": [message], "maxTokens": 100}}


_TEXT = {"type": "string"}
_NAME = form("What is your name?", name=_TEXT)
_OK = form("Please confirm", ok={"type": "boolean"})
_ROOTS: Json = {"method": "roots/list", "params": {}}

_DEFAULTS = form(
    "Please look through these values",
    required=False,
    name={**_TEXT, "default": "John Doe"},
    age={"type": "integer", "default": 30},
    score={"type": "number", "default": 95.5},
    status={**_TEXT, "enum": ["active", "inactive", "pending"], "default": "active"},
    verified={"type": "boolean", "default": True},
)
_TITLED = [{"const": "value1", "title": "First"}, {"const": "value2", "title": "Second"}]
_PLAIN = {**_TEXT, "enum": ["option1", "option2"]}
_ENUMS = form(
    "Please choose",
    required=False,
    untitledSingle=_PLAIN,
    titledSingle={**_TEXT, "oneOf": _TITLED},
    legacyEnum={**_TEXT, "enum": ["opt1", "opt2"], "enumNames": ["One", "Two"]},
    untitledMulti={"type": "array", "items": _PLAIN},
    titledMulti={"type": "array", "items": {"anyOf": _TITLED}},
)

_ROUND = "test_input_required_result_"
_ROUNDS: dict[str, list[Json]] = {
    "test_elicitation_sep1034_defaults": [{"values": _DEFAULTS}],
    "test_elicitation_sep1330_enums": [{"choice": _ENUMS}],
    "test_streaming_elicitation": [{"user_name": _NAME}],
    f"{_ROUND}elicitation": [{"user_name": _NAME}],
    f"{_ROUND}sampling": [{"capital_question": sample("What is the capital of France?")}],
    f"{_ROUND}list_roots": [{"client_roots": _ROOTS}],
    f"{_ROUND}request_state": [{"confirm": _OK}],
    f"{_ROUND}multiple_inputs": [{"user_name": _NAME, "greeting": sample("A greeting"), "client_roots": _ROOTS}],
    f"{_ROUND}multi_round": [
        {"step1": form("Step 1: What is your name?", name=_TEXT)},
        {"step2": form("Step 2: What is your favorite color?", color=_TEXT)},
    ],
    f"{_ROUND}tampered_state": [{"confirm": _OK}],
    f"{_ROUND}capabilities": [{"user_name": _NAME, "greeting": sample("A greeting")}],
    f"{_ROUND}prompt": [{"user_context": form("What context should the prompt use?", context=_TEXT)}],
}
_ASKED_BY_ARGUMENT = ("test_elicitation", "test_sampling")


def asking() -> Iterator[str]:
    """The names of the tools that want to know something."""
    yield from (name for name in _ROUNDS if name != f"{_ROUND}prompt")
    yield from _ASKED_BY_ARGUMENT


def _rounds(name: str, arguments: Mapping[str, Any]) -> list[Json]:
    match name:
        case "test_elicitation":
            return [{"user": form(arguments["message"], username=_TEXT, email=_TEXT)}]
        case "test_sampling":
            return [{"model": sample(arguments["prompt"])}]
        case _:
            return _ROUNDS[name]


def wanted(name: str, sent: Mapping[str, Any], capabilities: Mapping[str, Any]) -> Json | None:
    """The result that asks for what the request does not bring along yet; None where nothing is missing.

    Only that is asked which the client is able to answer; raises MCPError where that is nothing. What is said in one
    round is not remembered: the state only says which round it is.
    """
    rounds = _rounds(name, sent.get("arguments") or {})
    begun, answers = int(sent.get("requestState") or 0), sent.get("inputResponses") or {}
    questions = {key: each for key, each in rounds[begun].items() if _CAPABILITY[each["method"]] in capabilities}
    if not questions:
        raise lacking(_CAPABILITY[each["method"]] for each in rounds[begun].values())
    if not all(isinstance(answers.get(key), dict) for key in questions):
        return {"resultType": "input_required", "inputRequests": questions, "requestState": str(begun)}
    if begun + 1 < len(rounds):
        return {"resultType": "input_required", "inputRequests": rounds[begun + 1], "requestState": str(begun + 1)}
    return None


def lacking(needed: Iterable[str]) -> MCPError:
    """The error that names capabilities which the client has not declared."""
    data: Json = {"requiredCapabilities": {capability: {} for capability in needed}}
    names = ", ".join(data["requiredCapabilities"])
    return MCPError(code=types.MISSING_REQUIRED_CLIENT_CAPABILITY, message=f"this needs {names}", data=data)
