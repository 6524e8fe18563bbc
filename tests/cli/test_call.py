from __future__ import annotations

from typing import Any

import pytest

from gateway.cli.call import parse_arguments
from gateway.errors import GatewayError

PROPERTIES = {
    "name": {"type": "string"},
    "limit": {"type": "integer"},
    "deep": {"type": "object"},
    "either": {"type": ["string", "null"]},
    "number": {"type": ["integer", "null"]},
    "choice": {"enum": [1, 2]},
    "anything": True,
}


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("name=button", "button"),
        ("name=", ""),
        ("name=1", "1"),
        ("name=a=b", "a=b"),
        ("name=null", "null"),
        ('name="x"', '"x"'),
        ("name= a\nb ", " a\nb "),
        ("limit=3", 3),
        ("limit=x", "x"),
        ("limit=", ""),
        ("limit=NaN", "NaN"),
        ('deep={"a":[1]}', {"a": [1]}),
        ("deep={", "{"),
        ("either=null", "null"),
        ("number=null", None),
        ("number=7", 7),
        ("choice=2", 2),
        ("anything=[1]", [1]),
        ("anything=button", "button"),
        ("unknown=3", 3),
    ],
)
def test_values(argument: str, value: Any) -> None:
    """Strings are as they stand; what is declared as something else is JSON where it is JSON."""
    name = argument.partition("=")[0]
    assert parse_arguments([argument], PROPERTIES) == {name: value}


@pytest.mark.parametrize("argument", ["name", "", "=x", "=", "--", "-x"])
def test_no_pair(argument: str) -> None:
    """What is no NAME=VALUE is quoted in a sentence."""
    with pytest.raises(GatewayError, match=f"^expected NAME=VALUE, found '{argument}'$"):
        parse_arguments([argument], PROPERTIES)


def test_twice() -> None:
    """A name that is given twice is refused: which one was meant is anybody's guess."""
    with pytest.raises(GatewayError, match=r"^name is given twice$"):
        parse_arguments(["name=a", "name=b"], PROPERTIES)


def test_several() -> None:
    """Each pair is one argument."""
    assert parse_arguments(["name=a", "limit=1"], PROPERTIES) == {"name": "a", "limit": 1}
