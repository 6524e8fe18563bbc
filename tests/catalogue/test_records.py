from __future__ import annotations

from gateway.catalogue.records import RecordText, filled

PROPS = {"name": "var-{x}", "props": [{"name": "a", "type": {"kind": "b"}}, {"name": "{name}"}, "c", None]}


def test_a_record_and_its_lines() -> None:
    """Members stand in their places, each element of an array on its line; no value is looked at as a template."""
    text = RecordText("# {name}{absent}\n{props}\n{{end}}", {"props": "- {name}: {type}{value}"})
    assert text.of(PROPS) == '# var-{x}\n- a: {"kind":"b"}\n- {name}: \n- : c\n- : \n{end}'


def test_arrays_that_are_none() -> None:
    """A missing array has no lines, and what is no array is one line."""
    text = RecordText("{props}", {"props": "- {value}"})
    assert [text.of({}), text.of({"props": None}), text.of({"props": "a"})] == ["", "", "- a"]


def test_one_record() -> None:
    """An expression can fill a template by itself."""
    assert filled("{a}-{b}", {"a": 1, "b": None}) == "1-"
    assert filled("<{value}>", "x") == "<x>"


def test_cost() -> None:
    """What an element takes in the text: its line, as often as the array stands there."""
    text = RecordText("{a} {b} {b}", {"a": "- {value}"})
    assert text.cost("a", "ö") == len(b"- xx\n")
    assert text.cost("b", "x") == 2 * len(b"x\n")
    assert text.cost("c", "x") == 0
