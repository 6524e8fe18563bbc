from __future__ import annotations

import json
from typing import Any

import orjson
import pydantic_core
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.serving.direct.message import id_bytes, parse

GOOD: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "m", "params": {"a": [1]}}

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


def test_a_request() -> None:
    """Its id, its method and its parameters."""
    message = parse(json.dumps(GOOD).encode())
    assert message is not None
    assert (message.id, message.method, message.params) == (1, "m", {"a": [1]})
    without = parse(b'{"jsonrpc":"2.0","id":"x","method":"m"}')
    assert without is not None
    assert without.params is None


@pytest.mark.parametrize(
    "change",
    [
        {"jsonrpc": "2"},
        {"id": None},
        {"id": True},
        {"id": 1.0},
        {"method": 1},
        {"params": []},
        {"more": 1},
        {"params": {"n": 2**64}},
        {"params": {"n": [-(2**63) - 1]}},
        {"params": {"x": [[]] * 120}},
    ],
)
def test_what_is_unusual_is_left_to_the_sdk(change: dict[str, Any]) -> None:
    """Also what parsers read differently: large integers, deep nesting."""
    assert parse(json.dumps({**GOOD, **change}).encode()) is None


@pytest.mark.parametrize("value", ["1" * 40, 2**64 - 1, -(2**63), 0.1234567890123456789, "x" * 100])
def test_many_digits_are_no_reason(value: Any) -> None:
    """Numbers of 64 bits and texts of digits, such as times in nanoseconds, are the same to every parser."""
    message = parse(json.dumps({**GOOD, "params": {"v": value}}).encode())
    assert message is not None
    assert message.params == {"v": value}


@given(values)
def test_every_parser_reads_the_same(value: Any) -> None:
    """Where it is taken, the two parsers of the SDK see the same in it, with the same types."""
    body = json.dumps({**GOOD, "params": {"value": value}}).encode()
    message = parse(body)
    if message is not None:
        for read in (json.loads, pydantic_core.from_json):
            other = read(body)["params"]
            assert repr(other) == repr(message.params)
            assert orjson.dumps(other) == orjson.dumps(message.params)


@given(st.integers(-(2**60), 2**60) | st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_an_id_is_written_as_the_sdk_does(id_: int | str) -> None:
    """In both of its ways."""
    assert id_bytes(id_, ascii_only=True) == json.dumps(id_).encode()
    assert id_bytes(id_, ascii_only=False) == pydantic_core.to_json(id_)
