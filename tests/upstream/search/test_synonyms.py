from __future__ import annotations

import pytest

from gateway.upstream.search.synonyms import Synonyms
from tests.upstream.search.rig import open_rig

KNOWN = Synonyms({"Toast": "snackbar", "dark mode": "themes", "暗黑": "主题"})


@pytest.mark.parametrize(
    ("query", "widened"),
    [
        ("show a toast", "show a toast snackbar"),
        ("TOAST! in Dark Mode", "TOAST! in Dark Mode snackbar themes"),
        ("toaster, darkmode", "toaster, darkmode"),
        ("切换暗黑模式", "切换暗黑模式 主题"),
        ("", ""),
        ("x" * 5000, "x" * 5000),
    ],
)
def test_widened(query: str, widened: str) -> None:
    """Whole words and phrases in any case, and Chinese ones within others."""
    assert KNOWN.widened(query) == widened


async def test_what_is_called_something_else() -> None:
    """A page is found by a word that is not in it."""
    async with open_rig() as rig:
        assert await rig.titles("textbox") == []
    async with open_rig({"synonyms": {"textbox": "input"}}) as rig:
        assert await rig.titles("a textbox") == ["Input"]
