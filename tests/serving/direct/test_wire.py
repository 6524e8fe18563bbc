from __future__ import annotations

import json
from typing import Any

import mcp_types as types
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared.exceptions import MCPError
from mcp_types.methods import serialize_server_result
from mcp_types.version import LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION

from gateway import __version__
from gateway.catalogue.result import Form
from gateway.profile.serving import Server
from gateway.serving.direct.wire import Wire
from gateway.serving.failures import Failure
from gateway.serving.protocol import SERVER_INFO

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
ids = st.integers(-(2**63), 2**63 - 1) | texts
SECTION = Server(name="n", title="é")


def as_the_sdk_writes(answer: types.JSONRPCResponse | types.JSONRPCError, *, ascii_only: bool) -> bytes:
    """Over HTTP the modern era goes by way of its own JSON writer."""
    if not ascii_only:
        return answer.model_dump_json(by_alias=True, exclude_unset=True).encode()
    members = answer.model_dump(mode="json", by_alias=True, exclude_none=True)
    return json.dumps(members, separators=(",", ":")).encode()


@given(ids, values, st.sampled_from(["json", "text"]), st.none() | values, st.booleans(), st.booleans())
def test_any_answer_is_as_the_sdk_writes_it(  # by Hypothesis
    id_: int | str, value: Any, kind: Any, about: Any, modern: bool, escaping: bool
) -> None:
    """Byte for byte, whatever a tool answers."""
    result = json.loads(Form(kind).render(value))
    if about is not None:
        result["_meta"] = {"gateway/cache": about}
    version = LATEST_MODERN_VERSION if modern else LATEST_HANDSHAKE_VERSION
    shaped = serialize_server_result("tools/call", version, {"resultType": "complete", **result})
    if modern:
        server = types.Implementation(name="n", version=__version__, title="é")
        told = server.model_dump(by_alias=True, mode="json", exclude_none=True)
        shaped["_meta"] = {**(shaped.get("_meta") or {}), SERVER_INFO: told}
    answer = types.JSONRPCResponse(jsonrpc="2.0", id=id_, result=shaped)
    expected = as_the_sdk_writes(answer, ascii_only=modern and escaping)
    assert Wire(SECTION, escaping=escaping).called(id_, result, modern=modern) == expected


@given(ids, st.integers(-40000, 400), texts, values, st.booleans())
def test_any_failure_is_as_the_sdk_writes_it(  # by Hypothesis
    id_: int | str, code: int, message: str, data: Any, modern: bool
) -> None:
    """With data and without."""
    failure = Failure(code, message, data)
    error = MCPError(code, message, data).error  # as the gateway's SDK side raises it
    answer = types.JSONRPCError(jsonrpc="2.0", id=id_, error=error)
    expected = as_the_sdk_writes(answer, ascii_only=modern)
    assert Wire(SECTION, escaping=True).failed(id_, failure, modern=modern) == expected


def test_a_server_without_a_name_has_an_empty_one() -> None:
    """MCP wants one of each server."""
    assert Wire(Server(name="", title=""), escaping=True).about == {"name": "", "version": __version__}


def test_what_no_declared_tool_answers_is_not_written() -> None:
    """It would be dropped without a word."""
    with pytest.raises(ValueError, match="no member of a declared tool's result: more"):
        Wire(SECTION, escaping=True).called(1, {"content": [], "more": 1}, modern=True)
