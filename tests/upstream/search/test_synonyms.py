from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.upstream.search.query import parse
from gateway.upstream.search.synonyms import Synonyms
from tests.upstream.search.rig import open_rig

KNOWN = Synonyms({"Toast": "snackbar", "dark mode": "themes", "暗黑": "主题"})


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("show a toast", ["snackbar"]),
        ("TOAST! in Dark Mode", ["snackbar", "themes"]),
        ("toaster, darkmode", []),
        ("切换暗黑模式", ["主题"]),
        ("button -toast", []),
        ('"toast" button', []),
        ('toast "never closed', ["snackbar"]),
        ("", []),
        ("toast " * 500, ["snackbar"]),
    ],
)
def test_widened(text: str, more: list[str]) -> None:
    """Plain words and phrases in any case, and Chinese ones within others; nothing else of the query changes."""
    before = parse(text)
    after = KNOWN.widened(before, text)
    assert replace(after, words=before.words) == before
    assert [phrase.terms[0] for phrase in after.words[len(before.words) :]] == more


async def test_what_is_called_something_else() -> None:
    """A page is found by a word that is not in it."""
    async with open_rig() as rig:
        assert await rig.titles("textbox") == []
    async with open_rig({"synonyms": {"textbox": "input"}}) as rig:
        assert await rig.titles("a textbox") == ["Input"]
