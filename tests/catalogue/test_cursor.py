from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalogue.cursor import LENGTH, Cursor, digest, parse_cursor
from gateway.errors import ToolError

OURS = Cursor(3, digest(b"key"), digest(b"whole"))


@given(st.integers(1, 2**32 - 1), st.binary(max_size=20), st.binary(max_size=20))
def test_there_and_back(number: int, key: bytes, whole: bytes) -> None:
    """A cursor is read as it was written, and has one length."""
    cursor = Cursor(number, digest(key), digest(whole))
    assert len(str(cursor)) == LENGTH
    if key == b"key":
        assert parse_cursor(str(cursor), "key") == cursor


def test_the_cursor_of_another_call() -> None:
    """It is refused by name, whoever gave it."""
    assert parse_cursor(str(OURS), "key") == OURS
    with pytest.raises(ToolError, match=r"^cursor: it belongs to another call\. Pass the same arguments"):
        parse_cursor(str(OURS), "key of another caller")


@pytest.mark.parametrize(
    "text",
    [
        "2",
        "a" * LENGTH + "a",
        "ö" * LENGTH,
        "!" * LENGTH,
        " " * LENGTH,
        str(OURS)[:-1] + "=",
        str(OURS) + "=",
        "\ud800",
    ],
)
def test_a_made_up_cursor(text: str) -> None:
    """What nobody gave is refused in a sentence, whatever it is."""
    with pytest.raises(ToolError, match=r"^cursor: expected the one that the previous answer of this tool gave"):
        parse_cursor(text, "key")


def test_another_spelling_and_the_first_part() -> None:
    """Base64 has spare bits, and the first part has no cursor: neither was ever given out."""
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    text = str(OURS)
    other = text[:-1] + last[last.index(text[-1]) ^ 1]
    for made_up in (other, str(Cursor(0, OURS.key, OURS.whole))):
        with pytest.raises(ToolError, match=r"^cursor: expected the one"):
            parse_cursor(made_up, "key")


@given(st.text(max_size=40))
def test_any_text(text: str) -> None:
    """Nothing but a cursor is one, and nothing else is raised."""
    with pytest.raises(ToolError, match=r"^cursor: "):
        parse_cursor(text, "key")
