from __future__ import annotations

import json

import pytest

from gateway.loading.model import Call
from gateway.loading.wire import answer_to, call_body, header_value, judged


def test_a_modern_call_carries_its_envelope() -> None:
    """Of 2026-07-28: the protocol's version, the client and its capabilities are in each request."""
    message = json.loads(call_body("modern", 7, Call("t", {"a": "ü"})))
    assert (message["id"], message["method"], message["params"]["name"]) == (7, "tools/call", "t")
    assert message["params"]["arguments"] == {"a": "ü"}
    meta = message["params"]["_meta"]
    assert meta["io.modelcontextprotocol/protocolVersion"] == "2026-07-28"
    assert meta["io.modelcontextprotocol/clientCapabilities"] == {}


def test_a_call_of_the_handshake_era_has_none() -> None:
    """Up to 2025-11-25 the session knows."""
    params = json.loads(call_body("handshake", 7, Call("t", {})))["params"]
    assert params == {"name": "t", "arguments": {}}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("get_props", "get_props"),
        ("größe", "=?base64?Z3LDtsOfZQ==?="),
        (" x", "=?base64?IHg=?="),
        ("a\r\nb", "=?base64?YQ0KYg==?="),
        ("=?base64?eA==?=", "=?base64?PT9iYXNlNjQ/ZUE9PT89?="),
    ],
)
def test_names_in_headers(name: str, value: str) -> None:
    """A name that no header can hold as it is goes in base64."""
    assert header_value(name) == value


@pytest.mark.parametrize(
    "body",
    [
        b'event: message\ndata: {"jsonrpc":"2.0","id":3,"result":{}}\n\n',
        b'id: 1\ndata:\n\ndata: {"method":"notifications/progress"}\n\ndata: {"id":3,\ndata: "result":{}}\n\n',
        b': comment\r\n\r\ndata:{"id":3,"result":{}}\r\n\r\n',
        b'data: {"id":9,"result":{"x":1}}\n\ndata: {"id":3,"result":{}}\n\n',
    ],
)
def test_event_streams(body: bytes) -> None:
    """The answer is found among the events of a stream, also over several lines and after others."""
    assert answer_to(3, body, b"text/event-stream; charset=utf-8")["result"] == {}


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b'{"id":4,"result":{}}', b'{"id":3}', b'{"id":"3","result":{}}'])
def test_no_answer(body: bytes) -> None:
    """What does not answer the request is none, and so is what is no JSON."""
    with pytest.raises(ValueError, match=r"\S"):
        answer_to(3, body, b"application/json")


@pytest.mark.parametrize(
    ("message", "error", "detail"),
    [
        ({"result": {"content": []}}, None, ""),
        ({"result": {"resultType": "complete", "isError": False}}, None, ""),
        ({"result": {"isError": True, "content": [{"type": "text", "text": "no"}]}}, "tool error", "no"),
        ({"result": {"isError": True, "content": [3]}}, "tool error", ""),
        ({"result": {"resultType": "input_required"}}, "input required", "input_required"),
        ({"result": 3}, "invalid answer", "a result that is no object"),
        ({"error": {"code": -32602, "message": "Unknown tool"}}, "JSON-RPC -32602", "Unknown tool"),
        ({"error": {"message": "x"}}, "invalid answer", "an error without a code"),
        ({"error": "x"}, "invalid answer", "an error without a code"),
    ],
)
def test_what_came_of_it(message: dict[str, object], error: str | None, detail: str) -> None:
    """Successes, errors of tools, of JSON-RPC, and what is neither."""
    reply = judged(message, 10)
    assert (reply.size, reply.error, reply.detail) == (10, error, detail)
