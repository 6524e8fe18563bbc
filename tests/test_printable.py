from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.printable import escaped, printable

ANY = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a button", "a button"),
        ("按钮", "按钮"),
        ("a\nb\x1b[31m\u2028\u202ec\ud800", "a?b?[31m??c?"),
        ("a\tb", "a?b"),
        ("", ""),
    ],
)
def test_on_one_line(text: str, shown: str) -> None:
    """Line ends, escapes, marks of direction and halves of a surrogate pair are question marks."""
    assert printable(text) == shown


def test_no_longer_than_the_limit() -> None:
    """A text that is cut says so; without a limit it is whole, and what is kept stays."""
    assert printable("x" * 81) == "x" * 79 + "…"
    assert printable("x" * 80) == "x" * 80
    assert printable("\tx\n" * 50, None, kept="\t") == "\tx?" * 50


@given(ANY, st.integers(1, 100))
def test_any_text_is_printable(text: str, limit: int) -> None:
    """Whatever it is; a position in it stays where it is, which carets under a line rely on."""
    assert printable(text, limit).isprintable()
    assert len(printable(text, limit)) == min(len(text), limit)
    assert escaped(text).isprintable()


@given(st.text(st.characters(exclude_characters="\\")))
def test_nothing_is_lost_by_escapes(text: str) -> None:
    """A log line can be read back."""
    assert escaped(text).encode("latin-1", "backslashreplace").decode("unicode_escape") == text
