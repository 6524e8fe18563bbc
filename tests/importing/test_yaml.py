from __future__ import annotations

import pytest

from gateway.importing.yaml import MAX_DEPTH, YamlProblem, parse_yaml


def test_scalars() -> None:
    """What YAML 1.1 took for something else stays a text; keys are texts."""
    text = "a: no\nb: 2026-01-31\n200: 12:30:00\nc: 010\nd: 1.5\ne: ~\ntrue: true\nnull: 1e3\n"
    assert parse_yaml(text) == {
        "a": "no",
        "b": "2026-01-31",
        "200": "12:30:00",
        "c": 10,
        "d": 1.5,
        "e": None,
        "true": True,
        "null": 1000.0,
    }


def test_aliases_are_shared() -> None:
    """A tower of aliases takes the room of its text: what they stand for is never copied."""
    tower = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(20)
    )
    parsed = parse_yaml(tower)
    assert parsed["u"][0] is parsed["t"]


@pytest.mark.parametrize(
    "text", ["a: [1", "[" * 100_000, "- " * (MAX_DEPTH + 1) + "a", "!!python/object/apply:os.getcwd []", "? [a]\n: b"]
)
def test_what_is_refused(text: str) -> None:
    """Broken, deep, foreign: one line says so."""
    with pytest.raises(YamlProblem) as caught:
        parse_yaml(text)
    assert "\n" not in str(caught.value)
