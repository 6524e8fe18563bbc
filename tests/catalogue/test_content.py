from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalogue.content import JsonContent, Parameters, form_content
from gateway.errors import ToolError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
).filter(lambda value: not _has_surrogates(value))


def _has_surrogates(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


@pytest.mark.parametrize(
    ("value", "pairs"),
    [
        ("x&admin=1", (("q", "x&admin=1"),)),
        (3, (("q", "3"),)),
        (False, (("q", "false"),)),
        ("", (("q", ""),)),
        (None, ()),
        ([], ()),
        (["a", 1, "b&c"], (("q", "a"), ("q", "1"), ("q", "b&c"))),
        ({"a": 1}, (("q", '{"a":1}'),)),
    ],
)
def test_a_parameter_that_is_one_argument(value: Any, pairs: tuple[tuple[str, str], ...]) -> None:
    """Absent and null leave it out, an array repeats it, anything else is one value."""
    assert Parameters({"q": "{value}"}).fill({"value": value}) == pairs
    assert Parameters({"q": "{value}"}).fill({}) == ()


def test_a_parameter_with_text_around_an_argument() -> None:
    """It is always there, as one value."""
    assert Parameters({"q": "name:{value}"}).fill({"value": ["a", "b"]}) == (("q", 'name:["a","b"]'),)
    assert Parameters({"q": "name:{value}"}).fill({}) == (("q", "name:"),)
    assert Parameters({"q": "{{value}}"}).fill({}) == (("q", "{value}"),)


@given(st.text().filter(lambda text: not _has_surrogates(text)))
def test_a_value_in_a_form_stays_one(value: str) -> None:
    """Whatever the value, a server reads the same fields out of the form, with that value in its own."""
    body = form_content(Parameters({"a": "1", "q": "{value}", "z": "2"}).fill({"value": value}))
    assert parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True) == [
        ("a", "1"),
        ("q", value),
        ("z", "2"),
    ]


def test_half_of_a_surrogate_pair_in_a_form() -> None:
    """It is no text, and the caller is told."""
    with pytest.raises(ToolError, match="half of a surrogate pair"):
        form_content(Parameters({"q": "{value}"}).fill({"value": "\ud800"}))


def test_json_keeps_its_shape() -> None:
    """Arguments are values in it, of their own type; what was not given is left out."""
    section = {"q": "{query}", "page": {"size": "{size}", "from": 0}, "tags": ["fixed", "{tag}"], "text": "say {query}"}
    content = JsonContent(section)
    assert json.loads(content.fill({"query": 'a","admin":"1', "size": 3, "tag": None})) == {
        "q": 'a","admin":"1',
        "page": {"size": 3, "from": 0},
        "tags": ["fixed", None],
        "text": 'say a","admin":"1',
    }
    assert json.loads(content.fill({})) == {"page": {"from": 0}, "tags": ["fixed"], "text": "say "}


@given(JSON)
def test_any_argument_is_one_value(value: Any) -> None:
    """The body has the members of the profile, whatever stands in one of them."""
    body = json.loads(JsonContent({"a": 1, "value": "{value}", "z": "x{value}"}).fill({"value": value}))
    assert list(body) == ["a", "value", "z"]
    assert body["value"] == value


def test_the_whole_body_may_be_an_argument() -> None:
    """And nothing is sent where that was not given."""
    assert JsonContent("{value}").fill({"value": [1, "2"]}) == b'[1,"2"]'
    assert JsonContent("{value}").fill({}) == b""
    assert JsonContent("hello {value}").fill({"value": "you"}) == b'"hello you"'


def test_keys_and_other_values_are_not_templates() -> None:
    """Only texts are filled in."""
    assert JsonContent({"{value}": [1, True, 2.5]}).fill({"value": "x"}) == b'{"{value}":[1,true,2.5]}'


def _deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value", ["\ud800", float("nan"), float("inf"), _deep(100_000)], ids=["half", "nan", "inf", "deep"]
)
def test_what_json_can_not_hold(value: Any) -> None:
    """It never becomes null or something else: the caller is told."""
    with pytest.raises(ToolError, match=r"^Invalid arguments: "):
        JsonContent({"value": "{value}"}).fill({"value": value})
