from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.mcp.framing import Framing, TooLong

LIMIT = 30
LINES = st.lists(st.binary(max_size=60).map(lambda line: line.replace(b"\n", b"-")), max_size=12)


def cut(text: bytes, at: list[int]) -> list[bytes]:
    places = sorted({min(place, len(text)) for place in at} | {0, len(text)})
    return [text[start:end] for start, end in pairwise(places)]


@given(LINES, st.lists(st.integers(0, 700)))
def test_lines_come_out_as_they_went_in(lines: list[bytes], at: list[int]) -> None:
    """However the stream is cut into chunks: every line within the limit, and a mark for each beyond it."""
    framing = Framing(LIMIT)
    found = [line for chunk in cut(b"".join(line + b"\n" for line in lines), at) for line in framing.feed(chunk)]
    expected = [line if len(line) <= LIMIT else TooLong(None) for line in lines if line.strip() or len(line) > LIMIT]
    assert found == expected


def test_a_line_without_end_takes_no_more_than_the_limit() -> None:
    """Ten megabytes of it leave as little as one does."""
    framing = Framing(1000)
    for _ in range(1000):
        assert framing.feed(b"x" * 10_000) == []
    assert len(framing._line) <= 1000
    assert framing.feed(b"\nnext\n") == [TooLong(None), b"next"]


def test_whose_answer_was_too_long() -> None:
    """The id is found where SDKs write it: in front of the result, or behind it."""
    large = "x" * 5000
    for message in (
        {"jsonrpc": "2.0", "id": 17, "result": {"text": large}},
        {"result": {"text": large}, "jsonrpc": "2.0", "id": 17},
    ):
        for separators in ((",", ":"), (", ", ": ")):
            line = json.dumps(message, separators=separators).encode() + b"\r\n"
            assert Framing(LIMIT).feed(line) == [TooLong(17)]
    asking = {"jsonrpc": "2.0", "id": 17, "method": "ping", "params": {"text": large}}
    assert Framing(LIMIT).feed(json.dumps(asking).encode() + b"\n") == [TooLong(None)]
    hidden = {"jsonrpc": "2.0", "method": "x", "params": {"text": large, "id": 17, "more": large}}
    assert Framing(LIMIT).feed(json.dumps(hidden).encode() + b"\n") == [TooLong(None)]
