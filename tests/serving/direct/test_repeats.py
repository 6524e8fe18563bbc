"""What differs in nothing but its id asks for the same: never where something else hangs on the id."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.serving.direct.message import parse
from gateway.serving.direct.repeats import Repeats, without_id

PARAMS = {"name": "t", "arguments": {"id": 1, "text": ', "jsonrpc": "2.0", "id": 1}'}}
PYTHON = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": PARAMS}
TYPESCRIPT = {"method": "tools/call", "params": PARAMS, "jsonrpc": "2.0", "id": 1}

ids = st.integers(0, 10**15 - 1) | st.text("abcXYZ019_.:-", min_size=1, max_size=64)
members = st.sampled_from(
    [
        *('"jsonrpc":"2.0"', '"jsonrpc" : "2.0"', '"jsonrpc":"2.1"', '"id":5', '"id": 5', '"id" :"5"', '"id":05'),
        *('"method":"m"', '"method":"5"', '"params":{"id":5}', '"params":{"a":[5, "5"]}'),
        '"params":{"a":", \\"jsonrpc\\":\\"2.0\\",\\"id\\":5}"}',
    ]
)
usual = st.sampled_from(
    [
        ['"jsonrpc":"2.0"', '"id":5', '"method":"m"'],
        ['"method":"5"', '"params":{"id":5}', '"jsonrpc":"2.0"', '"id":"5"'],
    ]
)
bodies = st.builds(
    lambda parts, more, at, comma, end: f"{{{comma.join([*parts[:at], *more, *parts[at:]])}{end}",
    usual | usual.flatmap(st.permutations),
    st.lists(members, max_size=2),
    st.integers(0, 4),
    st.sampled_from([",", ", ", " , ", ",\n"]),
    st.sampled_from(["}", "}", " }", "}\n"]),
)


def kept(body: bytes) -> Repeats[str]:
    """What there is after `body` was seen, if it is a request."""
    repeats: Repeats[str] = Repeats()
    split, message = without_id(body), parse(body)
    if split is not None and message is not None:
        repeats.keep(split[1], None, body, message, "made")
    return repeats


def found(repeats: Repeats[str], body: bytes) -> int | str | None:
    """The id of `body`, where it counts as the same request."""
    split = without_id(body)
    return None if split is None or repeats.find(split[1], None) is None else split[0]


@pytest.mark.parametrize("request_", [PYTHON, TYPESCRIPT])
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize("id_", [0, 7, 10**14, "7", "a-b_c.d:e"])
def test_another_id(request_: dict[str, Any], separators: tuple[str, str], id_: int | str) -> None:
    """As the SDKs write requests, Python's and TypeScript's."""
    repeats = kept(json.dumps(request_, separators=separators).encode())
    assert found(repeats, json.dumps({**request_, "id": id_}, separators=separators).encode()) == id_


@pytest.mark.parametrize("change", [{"method": "tools/list"}, {"params": {}}, {"params": {"name": "u"}}])
@pytest.mark.parametrize("request_", [PYTHON, TYPESCRIPT])
def test_something_else(request_: dict[str, Any], change: dict[str, Any]) -> None:
    """It is not mistaken for what was seen."""
    assert found(kept(json.dumps(request_).encode()), json.dumps({**request_, **change}).encode()) is None


@pytest.mark.parametrize(
    "body",
    [
        b'{"jsonrpc":"2.0","id":1,"method":"m","id":2}',
        b'{"jsonrpc":"2.0","id":1,"method":"m","id":1}',
        b'{"id":1,"method":"m","jsonrpc":"2.0","id":1,"id":1}',
        b'{"jsonrpc":"2.0","id":01,"method":"m"}',
        b'{"jsonrpc":"2.0","id":-1,"method":"m"}',
        b'{"jsonrpc":"2.0","id":1.0,"method":"m"}',
        b'{"jsonrpc":"2.0","id":true,"method":"m"}',
        b'{"jsonrpc":"2.0","id":"\\u0061","method":"m"}',
        b'{"jsonrpc":"2.0","id":1000000000000000,"method":"m"}',
    ],
)
def test_ids_that_are_read_anew(body: bytes) -> None:
    """Two of them, and those that parsers may read differently."""
    assert found(kept(body), body) is None


def test_the_beginning_of_one_and_the_end_of_another() -> None:
    """What is no request at all is not taken for one of which it has all other bytes."""
    for seen, other in (
        (b'{"jsonrpc":"2.0","id":1,"method":"m"}', b'"method":"m"},"jsonrpc":"2.0","id":1}'),
        (b'{"method":"m","jsonrpc":"2.0","id":1}', b'{"jsonrpc":"2.0","id":1,{"method":"m"'),
    ):
        assert found(kept(seen), seen) == 1
        assert parse(other) is None
        assert found(kept(seen), other) is None


@given(bodies, ids)
def test_whatever_counts_as_the_same_is_read_so(body: str, id_: int | str) -> None:
    """Of any bytes: with another id in its place, they are the same request with that id."""
    first = body.encode()
    repeats, split, message = kept(first), without_id(first), parse(first)
    if split is None or message is None:
        return
    own = str(split[0]) if isinstance(split[0], int) else json.dumps(split[0])
    for at in range(len(body)):
        if body.startswith(own, at):
            other = (body[:at] + json.dumps(id_) + body[at + len(own) :]).encode()
            if found(repeats, other) is not None:
                again = parse(other)
                assert again is not None
                assert (again.id, again.method, again.params) == (found(repeats, other), message.method, message.params)


def test_it_is_bounded() -> None:
    """Long requests are not kept, and of many only the latest."""
    long = json.dumps({**PYTHON, "params": {"name": "x" * 2000}}).encode()
    assert found(kept(long), long) is None
    repeats: Repeats[int] = Repeats()
    for number in range(5000):
        body = json.dumps({**PYTHON, "params": {"n": number}}).encode()
        split, message = without_id(body), parse(body)
        assert split is not None
        assert message is not None
        repeats.keep(split[1], None, body, message, number)
        assert repeats.find(split[1], None) == number
    assert len(repeats) <= 2048
