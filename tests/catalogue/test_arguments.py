from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalogue.arguments import Arguments, canonical
from gateway.errors import ToolError

SCHEMA: dict[str, Any] = {
    "additionalProperties": False,
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 64},
        "version": {"type": "string", "default": "latest"},
        "limit": {"type": "integer", "default": 10},
        "anything": True,
    },
}

ANY = Arguments("any", {"type": "object", "properties": {}, "additionalProperties": True}, {})

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda children: st.lists(children, max_size=4)
    | st.dictionaries(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=5), children, max_size=4),
    max_leaves=12,
)  # fmt: skip
json_objects = st.dictionaries(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=5), json_values)


def arguments(normalize: Mapping[str, str] | None = None) -> Arguments:
    return Arguments("t", SCHEMA, normalize or {})


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


def test_defaults_are_filled_in() -> None:
    """What was not given has its default, what was given stays."""
    assert arguments().complete({"name": "a", "limit": 3}) == {"name": "a", "version": "latest", "limit": 3}


def test_no_arguments_at_all() -> None:
    """Null is an object without members."""
    assert ANY.complete(None) == {}
    with pytest.raises(ToolError, match='"name" is a required property'):
        arguments().complete(None)


def test_every_fault_is_named() -> None:
    """All that is wrong is said in one sentence, with what the tool takes."""
    with pytest.raises(ToolError) as caught:
        arguments().complete({"limit": "x", "nope": 1, "version": 2})
    sentence = str(caught.value)
    assert sentence.startswith("Invalid arguments: ")
    for part in ('limit: "x" is not of type "integer"', "version: ", "nope", '"name" is a required'):
        assert part in sentence
    assert sentence.endswith("This tool takes: name, version, limit, anything.")


def test_many_faults_are_counted() -> None:
    """A long list of faults is cut short."""
    schema = {"properties": {f"p{index}": {"type": "integer"} for index in range(20)}}
    with pytest.raises(ToolError, match="and 15 more"):
        Arguments("t", schema, {}).complete({f"p{index}": "x" for index in range(20)})


def test_a_complaint_is_one_short_printable_line() -> None:
    """What a caller sent is quoted without its controls, and not at length."""
    with pytest.raises(ToolError) as caught:
        arguments().complete({"name": "\x1b[31m\n" + "x" * 100_000})
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


def test_unknown_arguments_are_refused_unless_declared() -> None:
    """A schema is closed unless it opens itself."""
    with pytest.raises(ToolError, match="nope"):
        arguments().complete({"name": "a", "nope": 1})
    assert ANY.complete({"nope": 1}) == {"nope": 1}


def test_normalised() -> None:
    """Spellings become the one that is looked up; what is no string stays."""
    normalising = arguments({"name": "trim_prefix(kebab(name), 'var-')", "anything": "kebab(anything)"})
    for spelling in ("button", "Button", "var-button", "VarButton"):
        assert normalising.complete({"name": spelling})["name"] == "button"
    assert normalising.complete({"name": "a", "anything": 1})["anything"] == 1


@given(st.text(min_size=1, max_size=64))
def test_completing_is_idempotent(name: str) -> None:
    """Completed arguments are complete: completing them again changes nothing."""
    normalising = arguments({"name": "lower(kebab(name))"})
    try:
        once = normalising.complete({"name": name})
    except ToolError:
        return
    if once["name"]:
        assert normalising.complete(once) == once


def test_the_given_arguments_are_left_alone() -> None:
    """Completing does not change what the caller holds."""
    given_ = {"name": "Button"}
    arguments({"name": "kebab(name)"}).complete(given_)
    assert given_ == {"name": "Button"}


def test_a_pattern_that_backtracks() -> None:
    """A regular expression that is exponential elsewhere is answered at once: this would take minutes otherwise."""
    schema = {"properties": {"x": {"type": "string", "pattern": "^(a+)+$"}}}
    with pytest.raises(ToolError, match="Invalid arguments"):
        Arguments("t", schema, {}).complete({"x": "a" * 30 + "!"})


def test_order_does_not_matter() -> None:
    """The same members in another order are the same key, also further down."""
    assert canonical({"a": 1, "b": {"c": 2, "d": 3}}) == canonical({"b": {"d": 3, "c": 2}, "a": 1})


def test_defaults_are_the_same_as_explicit_values() -> None:
    """Whether a default is left out or written down, it is the same key."""
    explicit = {"limit": 10, "version": "latest", "name": "a"}
    assert canonical(arguments().complete({"name": "a"})) == canonical(arguments().complete(explicit))


def test_four_that_python_takes_for_equal() -> None:
    """1, 1.0, true and "1" are four keys."""
    assert len({canonical({"x": value}) for value in (1, 1.0, True, "1")}) == 4
    empty: list[Any] = [0, 0.0, False, "0", None, "", [], {}]
    assert len({canonical({"x": value}) for value in empty}) == 8


def test_null_is_not_absent() -> None:
    """A member that is null is another question than one that is not there."""
    assert canonical({"x": None}) != canonical({})
    assert canonical({"x": None}) != canonical({"x": "null"})


@given(json_objects, json_objects)
def test_equal_keys_mean_equal_json(first: dict[str, Any], second: dict[str, Any]) -> None:
    """Two sets of arguments have one key only if they are the same JSON."""
    if canonical(first) == canonical(second):
        assert repr(sorted(first.items())) == repr(sorted(second.items())) or first == second
    shuffled = dict(reversed(first.items()))
    assert canonical(shuffled) == canonical(first)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), "\ud800", "a\udfffb"])
@pytest.mark.parametrize("wrap", [lambda held: {"x": held}, lambda held: {"x": [{"y": held}]}])
def test_what_json_can_not_hold(value: Any, wrap: Any) -> None:
    """NaN, infinity and half a surrogate pair are refused."""
    with pytest.raises(ToolError, match="Invalid arguments"):
        canonical(wrap(value))


def test_half_a_surrogate_pair_in_a_name() -> None:
    """Also where it is a member's name."""
    with pytest.raises(ToolError, match="Invalid arguments"):
        canonical({"\ud800": 1})


@pytest.mark.parametrize("wrong", [{"limit": "\ud800"}, {"name": "a", "\ud800": 1}, {"name": "\ud800" * 100}])
def test_half_a_surrogate_pair_that_is_wrong_anyway(wrong: dict[str, Any]) -> None:
    """Nor can it be quoted in the complaint about it."""
    with pytest.raises(ToolError, match="Invalid arguments"):
        arguments().complete(wrong)


@pytest.mark.parametrize("value", [2**63, 2**64, -(2**63) - 1, 10**400])
def test_large_integers(value: int) -> None:
    """Integers beyond 64 bits are values like others, each its own key."""
    assert canonical({"x": value}) != canonical({"x": value + 1})
    assert canonical({"x": value}) != canonical({"x": float(2**63)})


def test_depth() -> None:
    """A value as deep as memory allows is refused or taken, and never a crash."""
    with pytest.raises(ToolError, match="Invalid arguments"):
        canonical({"x": nested(100_000)})
    with pytest.raises(ToolError, match="Invalid arguments"):
        canonical(ANY.complete({"x": nested(100_000)}))


def test_long_arguments() -> None:
    """A long key is a hash, so that keys stay short, and still another one for another value."""
    long = canonical({"x": "a" * 100_000})
    assert len(long) < 100
    assert long != canonical({"x": "a" * 99_999 + "b"})


@given(json_objects)
def test_a_key_is_one_short_text(value: dict[str, Any]) -> None:
    """A key is at most 512 characters; a short one is the JSON itself."""
    key = canonical(value)
    assert len(key) <= 512
    key.encode()
    if key.startswith("{"):
        orjson.loads(key)
