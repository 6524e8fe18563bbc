"""Twenty questions that a Varlet developer asks: a search finds the page, and a second call has the answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.real import Docs, answer, npm_registry, open_shipped, real_docs

__all__ = ["npm_registry", "real_docs"]

pytestmark = pytest.mark.network

QUESTIONS = [
    ("How do I show a loading spinner inside a button?", "en-US", {"button"}),
    ("How can I validate a form before submitting it?", "en-US", {"form"}),
    ("open a confirm dialog by calling a function", "en-US", {"dialog"}),
    ("How do I load more items when scrolling to the bottom of a list?", "en-US", {"list"}),
    ("upload a picture with preview", "en-US", {"uploader"}),
    ("pick a range of dates", "en-US", {"date-picker"}),
    ("How do I switch to dark mode?", "en-US", {"themes"}),
    ("import components on demand with vite", "en-US", {"importOnDemand"}),
    ("use Varlet with Nuxt", "en-US", {"serverSideRendering"}),
    ("show a toast message", "en-US", {"snackbar"}),
    ("lazy load images", "en-US", {"image", "lazy"}),
    ("table with sorting and pagination", "en-US", {"data-table"}),
    ("change the language of the components", "en-US", {"locale"}),
    ("How do I use Varlet on the desktop with a mouse?", "en-US", {"browserAdaptation"}),
    ("如何禁用按钮", "zh-CN", {"button"}),
    ("表单校验", "zh-CN", {"form"}),
    ("怎样切换语言", "zh-CN", {"locale"}),
    ("下拉刷新", "zh-CN", {"pull-refresh"}),
    ("无限滚动列表加载更多", "zh-CN", {"list"}),
    ("暗黑模式", "zh-CN", {"themes"}),
]


async def test_twenty_questions(tmp_path: Path, npm_registry: str, real_docs: Docs) -> None:
    """The right page is among the first three for each question and the first for at least 18, and can then be read."""
    assert len(QUESTIONS) == 20
    first = []
    async with open_shipped(tmp_path, npm_registry, real_docs) as gateway:
        for question, locale, right in QUESTIONS:
            found = (await answer(gateway, "search_documentation", query=question, locale=locale))["results"]
            names = [page["name"] for page in found[:3]]
            assert right & set(names), f"{question}: {names}"
            if names[0] in right:
                first.append(question)
            page = next(page for page in found if page["name"] in right)
            tool = {"component": "get_component_documentation", "guide": "get_guide"}[page["type"]]
            read = await answer(gateway, tool, name=page["name"], locale=locale)
            assert read["outline"][0] == page["title"]
            assert any(part["text"] for part in read["parts"])
    missed = {question for question, _, _ in QUESTIONS} - set(first)
    assert len(first) >= 18, f"not first: {missed}"
