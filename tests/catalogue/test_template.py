from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalogue.template import as_text, header_template, path_glob, path_template, text_template
from gateway.errors import ToolError


@pytest.mark.parametrize("value", ["", ".", "..", "a\0b", "a\nb", "a\x7fb", "x" * 513, "\ud800"])
def test_no_segment(value: str) -> None:
    """What is no name, or would name another place, is refused with the argument's name."""
    with pytest.raises(ToolError, match=r"^name: expected "):
        path_template("a/{name}").fill({"name": value})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("../admin", "..%2Fadmin"),
        ("a/b", "a%2Fb"),
        ("a\\b", "a%5Cb"),
        ("x&admin=1", "x%26admin%3D1"),
        ("x?y", "x%3Fy"),
        ("x#y", "x%23y"),
        ("x;y", "x%3By"),
        ("%2e%2e", "%252e%252e"),
        ("a b", "a%20b"),
        ('"{}"', "%22%7B%7D%22"),
        ("{other}", "%7Bother%7D"),
        ("ключ", "%D0%BA%D0%BB%D1%8E%D1%87"),
        ("...", "..."),
        ("x" * 512, "x" * 512),
    ],
)
def test_segment(value: str, expected: str) -> None:
    """A value in a path is percent-encoded, so that it can't end the segment or begin a query."""
    assert path_template("a/{name}.json").fill({"name": value, "other": "z"}) == f"a/{expected}.json"


@given(st.text(max_size=600))
def test_a_value_is_exactly_one_segment(value: str) -> None:
    """Whatever the value, the path has as many segments as the template, and the value comes back out of its own."""
    try:
        path = path_template("a/{name}/b").fill({"name": value})
    except ToolError:
        return
    before, segment, after = path.split("/")
    assert (before, after) == ("a", "b")
    assert unquote(segment, errors="strict") == value
    assert segment not in ("", ".", "..")
    assert not set(segment) & set("?#\\&;= ")
    assert segment.isascii()


@pytest.mark.parametrize(("first", "second"), [(".", "."), (".", ""), ("", ".")])
def test_dots_can_not_be_put_together(first: str, second: str) -> None:
    """Two values side by side don't make up a parent folder."""
    with pytest.raises(ToolError):
        path_template("a/{first}{second}/b").fill({"first": first, "second": second})


def test_a_dot_beside_a_literal_dot() -> None:
    """A value and the template's own text don't make up a parent folder."""
    with pytest.raises(ToolError):
        path_template("a/.{name}/b").fill({"name": "."})


@pytest.mark.parametrize("value", ["a\r\nX-Admin: 1", "a\nb", "a\rb", "a\0b", "\x1b[0m", "x" * 513])
def test_header_refused(value: str) -> None:
    """Line breaks and other controls never reach a header, nor does an endless value."""
    with pytest.raises(ToolError, match=r"^name: expected one line") as caught:
        header_template("v={name}").fill({"name": value})
    assert str(caught.value).isprintable()


def test_header() -> None:
    """Anything on one line stands in a header as it is."""
    assert header_template("v={name}; q").fill({"name": 'a, b: "c" {d}'}) == 'v=a, b: "c" {d}; q'


@pytest.mark.parametrize("value", ["x&admin=1", "x#y", "{name}", "{{", '"}'])
def test_text(value: str) -> None:
    """Text keeps a value as it is, and never fills it a second time."""
    assert text_template("[{name}]").fill({"name": value}) == f"[{value}]"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("x", "x"),
        (1, "1"),
        (1.0, "1.0"),
        (True, "true"),
        (["a", 1], '["a",1]'),
        ({"a": None}, '{"a":null}'),
        (2**70, str(2**70)),
    ],
)
def test_other_values(value: Any, text: str) -> None:
    """What is not a string stands as JSON, however large a number; null and absent are empty."""
    assert as_text(value) == text


def test_a_missing_value_is_no_segment() -> None:
    """An optional argument that was not given can't leave a hole in a path."""
    with pytest.raises(ToolError, match="name: expected a name"):
        path_template("a/{name}").fill({})


def test_braces() -> None:
    """Doubled braces are braces."""
    assert text_template("{{{name}}}").fill({"name": "x"}) == "{x}"


def test_glob() -> None:
    """The files that a path template can name are those of its glob."""
    assert path_glob("types/{name}.d.{kind}") == "types/*.d.*"
