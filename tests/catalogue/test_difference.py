from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalogue.difference import MAX_STEPS, difference

values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.0, 1.0, "", "a", "1"]),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.sampled_from("abc"), children, max_size=3),
    max_leaves=12,
)


def told(old: Any, new: Any, key: str | None = None) -> list[tuple[str, str, Any, Any]]:
    return [
        (change["change"], ".".join(change["path"]), change.get("old", "-"), change.get("new", "-"))
        for change in difference(old, new, key)
    ]


def test_members() -> None:
    """What was added, removed and changed, by the way to it, in the order of the values."""
    old = {"same": 1, "gone": [1], "deep": {"size": "small"}}
    new = {"same": 1, "deep": {"size": "large", "round": True}, "new": None}
    assert told(old, new) == [
        ("removed", "gone", [1], "-"),
        ("changed", "deep.size", "small", "large"),
        ("added", "deep.round", "-", True),
        ("added", "new", "-", None),
    ]


def test_arrays_by_key() -> None:
    """Elements are the same ones where they have the same name, in whatever order, at every depth."""
    old = [{"name": "a", "props": [{"name": "x", "type": "string"}, {"name": "y"}]}, {"name": "b"}]
    new = [{"name": "c"}, {"name": "a", "props": [{"name": "z"}, {"name": "x", "type": "number"}]}]
    assert told(old, new, "name") == [
        ("changed", "a.props.x.type", "string", "number"),
        ("removed", "a.props.y", {"name": "y"}, "-"),
        ("added", "a.props.z", "-", {"name": "z"}),
        ("removed", "b", {"name": "b"}, "-"),
        ("added", "c", "-", {"name": "c"}),
    ]


@pytest.mark.parametrize("odd", [[{"name": "a"}, {"name": "a"}], [{"name": "a"}, 1], [{"name": 1}], [{}]])
def test_arrays_without_a_key(odd: list[Any]) -> None:
    """Elements that have no name of their own are compared as a whole."""
    assert told(odd, [{"name": "b"}], "name")[-1] == ("added", "0", "-", {"name": "b"})
    assert told(odd, copy.deepcopy(odd), "name") == []


def test_arrays_of_values() -> None:
    """What only one side has is told once for each time; the order does not matter."""
    assert told([1, 2, 2, 3], [3, 2, 4]) == [("removed", "0", 1, "-"), ("removed", "2", 2, "-"), ("added", "2", "-", 4)]


@pytest.mark.parametrize("pair", [(1, 1.0), (1, True), (0, False), (1, "1"), (None, 0), ([], {}), ({"a": 1}, [1])])
def test_values_that_only_look_alike(pair: tuple[Any, Any]) -> None:
    """1, 1.0, true and "1" are four values, by themselves and within an array."""
    old, new = pair
    assert told(old, new) == [("changed", "", old, new)]
    assert len(told([old], [new])) == 2


@given(values)
def test_nothing_differs_from_itself(value: Any) -> None:
    """A copy is equal, whatever it is."""
    assert difference(value, copy.deepcopy(value), "a") == []


@given(values, values)
def test_both_ways(old: Any, new: Any) -> None:
    """Seen from the other side, what was added is removed, and there are as many changes."""
    there, back = difference(old, new, "a"), difference(new, old, "a")
    assert len(there) == len(back)
    assert sum(one["change"] == "added" for one in there) == sum(one["change"] == "removed" for one in back)


def test_deeply_nested() -> None:
    """Depth is no matter of recursion, and equal depths cost no more than they are long."""
    old: Any = 1
    new: Any = 2
    for _ in range(50_000):
        old, new = {"a": old}, {"a": new}
    (change,) = difference(old, new)
    assert (len(change["path"]), change["old"], change["new"]) == (50_000, 1, 2)


def test_too_many_differences() -> None:
    """What would take more memory than a bound is refused in a sentence."""
    old: Any = {str(number): 1 for number in range(2_000)}
    new: Any = {str(number): 2 for number in range(2_000)}
    for _ in range(MAX_STEPS // 2_000):
        old, new = {"a": old}, {"a": new}
    with pytest.raises(ValueError, match="differ in too many places"):
        difference(old, new)
