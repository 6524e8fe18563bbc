from __future__ import annotations

import difflib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalogue.text_difference import text_difference

texts = st.lists(st.sampled_from("abcdefgh"), max_size=40).map("\n".join)


def patched(old: str, diff: str) -> list[str]:
    """`old` with the hunks of `diff` applied; what they say about it has to be there."""
    lines, result, at = old.splitlines(), [], 0
    for line in diff.splitlines():
        if line.startswith("@@"):
            start, _, count = line.split()[1][1:].partition(",")
            begin = int(start) - (0 if count == "0" else 1)
            result += lines[at:begin]
            at = begin
            continue
        mark, text = line[0], line[1:]
        if mark in " -":
            assert lines[at] == text
            at += 1
        if mark in " +":
            result.append(text)
    return result + lines[at:]


def test_hunks() -> None:
    """Changes come with three lines around them; near ones share a hunk, as diff -u has it."""
    old = "\n".join(f"line {number}" for number in range(30))
    new = old.replace("line 4\n", "").replace("line 8\n", "eight\n").replace("line 25", "line 25\nmore")
    expected = list(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm=""))[2:]
    assert text_difference(old, new).splitlines() == expected


@pytest.mark.parametrize(("old", "new"), [("", ""), ("a\n", "a"), ("a\nb", "a\r\nb\r\n")])
def test_equal_texts(old: str, new: str) -> None:
    """Equal lines make an empty difference."""
    assert text_difference(old, new) == ""


@pytest.mark.parametrize(
    ("old", "new", "diff"),
    [("", "a\nb", "@@ -0,0 +1,2 @@\n+a\n+b"), ("a", "", "@@ -1 +0,0 @@\n-a"), ("a", "b", "@@ -1 +1 @@\n-a\n+b")],
)
def test_all_or_nothing(old: str, new: str, diff: str) -> None:
    """An empty side is line 0, as diff -u has it."""
    assert text_difference(old, new) == diff


@given(texts, texts)
def test_it_applies(old: str, new: str) -> None:
    """The old text with the difference applied is the new one."""
    assert patched(old, text_difference(old, new)) == new.splitlines()


@pytest.mark.parametrize("kind", ["shuffled", "reversed", "two lines", "few alike"])
def test_hostile_texts(kind: str) -> None:
    """Texts that are worst for other algorithms are compared too, and the difference is right."""
    draw = random.Random(1)
    old = [f"line {number}" for number in range(30_000)]
    new = old[::-1]
    match kind:
        case "shuffled":
            draw.shuffle(new)
        case "two lines":
            old, new = ([draw.choice("ab") for _ in range(30_000)] for _ in range(2))
        case "few alike":
            new = [line if draw.random() < 0.01 else f"other {line}" for line in old]
    diff = text_difference("\n".join(old), "\n".join(new))
    assert patched("\n".join(old), diff) == new
