from __future__ import annotations

import datetime
from typing import Any

import pytest

from gateway.profile.faults import Advice, Fault, did_you_mean, listed, shown


def test_layout() -> None:
    """The first line is file:line:column: key: what was expected and found; then the line, a caret and a hint."""
    fault = Fault(
        "production.toml",
        14,
        12,
        ("cache", "memory", "max_size"),
        'a size such as "256MB"',
        '"256 megs"',
        'max_size = "256 megs"',
        '"256MB"',
    )
    assert str(fault) == (
        'production.toml:14:12: cache.memory.max_size: expected a size such as "256MB", found "256 megs"\n'
        '    14 | max_size = "256 megs"\n'
        "       |            ^\n"
        '         did you mean "256MB"?'
    )


def test_layout_without_a_file() -> None:
    """A fault of a variable or an option has no line to show."""
    fault = Fault("--set", key=("cache", "pool_size"), expected="a whole number", found='"x"')
    assert str(fault) == '--set: cache.pool_size: expected a whole number, found "x"'


def test_layout_of_a_warning() -> None:
    """A warning reads like a fault, says that it is one, and ends with what to change."""
    advice = Advice("p.toml", 2, 1, ("warm", "on_start"), "there are no calls to make", "add one", "on_start = true")
    assert str(advice) == (
        "p.toml:2:1: warm.on_start: warning: there are no calls to make\n"
        "     2 | on_start = true\n"
        "       | ^\n"
        "         add one"
    )


def test_caret_under_tabs() -> None:
    """Tabs are kept before the caret, so that it stands under its character however wide a tab is."""
    assert "\n       | \t\t    ^" in str(Fault("p.toml", 1, 7, source_line="\t\tk = 1"))


def test_long_lines() -> None:
    """Of a long line only what surrounds the caret is shown."""
    line = "a" * 500 + "X" + "b" * 500
    _, text, caret = str(Fault("p.toml", 1, 501, source_line=line)).split("\n")
    assert len(text) < 160
    assert text[caret.index("^")] == "X"
    assert text.count("…") == 2


def test_control_characters() -> None:
    """What a terminal would obey is not printed as it is."""
    assert "\x1b" not in str(Fault("p.toml", 1, 1, found=shown("\x1b[2J"), source_line="\x1b[2J"))


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("max_sise", "max_size"),
        ("MAX_SIZE", "max_size"),
        ("maxsize", "max_size"),
        ("comp", "compression_gain"),
        ("zzz", None),
        ("", None),
    ],
)
def test_did_you_mean(word: str, meant: str | None) -> None:
    """A slip, another case and a beginning are recognised; a word like none of them is not."""
    assert did_you_mean(word, ["max_size", "ttl", "compression_gain"]) == meant


def test_did_you_mean_nothing() -> None:
    """Where no names are known none is suggested."""
    assert did_you_mean("x", []) is None


def test_listed() -> None:
    """Names are listed as a person lists them."""
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b or c"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (1.5, "1.5"),
        ('say "x" \\', '"say \\"x\\" \\\\"'),
        ("a" * 100, '"' + "a" * 59 + '…"'),
        ({}, "an empty table"),
        ({"a": 1}, "a table"),
        ([], "an empty array"),
        ([1], "an array"),
        (datetime.date(2026, 1, 2), "the date or time 2026-01-02"),
    ],
)
def test_shown(value: Any, text: str) -> None:
    """Scalars are shown as TOML writes them, cut where they are long; tables and arrays by kind."""
    assert shown(value) == text
