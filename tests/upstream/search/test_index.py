from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.profile.upstreams.search import Weights
from gateway.upstream.search.index import Index, build, open_index, prune, require_fts5
from gateway.upstream.search.pages import Page
from gateway.upstream.search.query import parse
from gateway.upstream.search.sections import text_of
from gateway.upstream.search.snippet import snippet

PAGES = {
    "button": "# Button\n\nTriggers an operation.\n\n## Disabled State\n\nUse the `disabled` prop to disable it.",
    "input": "# Input\n\nTakes text. It can be disabled with a button.\n\n## Clear icon\n\nShows an icon that clears.",
    "按钮": "# 按钮\n\n按钮组件，用于触发操作。\n\n## 禁用状态\n\n通过 `disabled` 属性禁用按钮。",
    "输入框": "# 输入框\n\n输入文字。\n\n## 禁用\n\n设置 `disabled` 禁用输入框。",
}


@contextmanager
def opened(path: Path | None = None, pages: dict[str, str] = PAGES, fingerprint: str = "1") -> Iterator[Index]:
    texts = (
        (Page(f"{name}.md", (name,), {"name": name, "ascii": str(name.isascii())}, 1.0), text_of(text, "text/markdown"))
        for name, text in pages.items()
    )
    index = build(texts, fingerprint, path)
    try:
        yield index
    finally:
        index.close()


def names(index: Index, query: str, limit: int = 10, offset: int = 0, **filters: str) -> list[str]:
    answer = index.search(parse(query), filters, Weights(), limit=limit, offset=offset)
    return [found.fields["name"] for found in answer.found]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("how do I disable a button", "button"),
        ("disabling buttons", "button"),
        ("clear icon", "input"),
        ("如何禁用按钮", "按钮"),
        ("禁用输入框", "输入框"),
        ("按", "按钮"),
        ("inp*", "input"),
        ('"an icon that clears"', "input"),
        ("+triggers", "button"),
        ("disabled -text -按钮 -输入", "button"),
    ],
)
def test_the_right_page_first(query: str, first: str) -> None:
    """In both languages, however the word is inflected."""
    with opened() as index:
        assert names(index, query)[0] == first


def test_phrases_and_exclusions() -> None:
    """Are strict, where words are not."""
    with opened() as index:
        assert names(index, '"icon an"') == []
        assert names(index, '"触发操作"') == ["按钮"]
        assert set(names(index, "disabled")) == set(PAGES)
        assert names(index, "+disabled +text") == ["input"]


def test_fields_narrow_the_answer() -> None:
    """Only pages with that value in that field; parts of the answer can be asked for."""
    with opened() as index:
        assert set(names(index, "disabled", ascii="False")) == {"按钮", "输入框"}
        assert names(index, "disabled", name="nothing") == []
        whole = names(index, "disabled")
        assert names(index, "disabled", limit=2) + names(index, "disabled", limit=2, offset=2) == whole
        answer = index.search(parse("disabled"), {}, Weights(), limit=1, offset=0)
        assert (answer.total, len(answer.found)) == (4, 1)


@pytest.mark.parametrize(
    ("query", "length", "expected"),
    [
        ("which prop is it for the disabled state", 200, "Use the <disabled> <prop> to <disable> it."),
        ("如何禁用按钮", 200, "通过 disabled 属性<禁用按钮>。"),
        ('"触发操作"', 200, "按钮组件，用于<触发操作>。"),
        ("clears", 20, "…an icon that <clears>."),
    ],
)
def test_snippets(query: str, length: int, expected: str) -> None:
    """The found words between marks; a phrase is marked as one; a word is not cut."""
    with opened() as index:
        answer = index.search(parse(query), {}, Weights(), limit=1, offset=0)
        shown = snippet(answer.found[0], length, ("<", ">"))
    assert shown == expected


def test_a_snippet_of_a_long_section() -> None:
    """Is where most of the words are."""
    text = "# T\n\n" + "nothing here " * 100 + "one apple and a pear " + "nothing there " * 100 + "an apple"
    with opened(pages={"t": text}) as index:
        answer = index.search(parse("apple pear"), {}, Weights(), limit=1, offset=0)
        shown = snippet(answer.found[0], 60, ("<", ">"))
    assert "one <apple> and a <pear>" in shown
    assert shown[0] == shown[-1] == "…"
    assert len(shown) <= 70


def test_an_index_in_a_file_is_found_again(tmp_path: Path) -> None:
    """If it is of the same documents; nothing is left beside it."""
    path = tmp_path / "folder" / "docs.search"
    with opened(path):
        pass
    assert open_index(path, "2") is None
    again = open_index(path, "1")
    assert again is not None
    assert names(again, "禁用按钮")[0] == "按钮"
    again.close()
    assert [each.name for each in path.parent.iterdir()] == ["docs.search"]


@pytest.mark.parametrize("damage", ["empty", "cut", "noise", "none", "another"])
def test_a_damaged_file_is_no_index(tmp_path: Path, damage: str) -> None:
    """Whatever is wrong with it, it is built anew instead."""
    path = tmp_path / "docs.search"
    with opened(path):
        pass
    content = bytearray(path.read_bytes())
    match damage:
        case "empty":
            content.clear()
        case "cut":
            del content[len(content) // 2 :]
        case "noise":
            content[4096:12288] = b"\xa5" * 8192
        case "none":
            path.unlink()
            assert open_index(path, "1") is None
            return
        case _:
            content[:16] = b"no database here"
    path.write_bytes(content)
    assert open_index(path, "1") is None
    with opened(path) as index:
        assert names(index, "button")


def test_a_build_that_fails_leaves_the_old_index(tmp_path: Path) -> None:
    """As when a document can't be read after all."""
    path = tmp_path / "docs.search"
    with opened(path):
        pass

    def failing() -> Iterator[tuple[Page, object]]:
        raise ZeroDivisionError
        yield

    with pytest.raises(ZeroDivisionError):
        build(failing(), "2", path)  # type: ignore[arg-type]  # it never yields
    with pytest.raises(ZeroDivisionError):
        build(failing(), "2", None)  # type: ignore[arg-type]
    again = open_index(path, "1")
    assert again is not None
    again.close()
    assert [each.name for each in tmp_path.iterdir()] == ["docs.search"]


def test_closing_waits_for_nobody(tmp_path: Path) -> None:
    """A search in another thread ends as it would, and closes the connection then."""
    with opened() as index:
        results: list[list[str]] = []
        threads = [threading.Thread(target=lambda: results.append(_search(index))) for _ in range(8)]
        for thread in threads:
            thread.start()
        index.close()
        for thread in threads:
            thread.join()
    assert all(result in (["button"], ["closed"]) for result in results)


def _search(index: Index) -> list[str]:
    try:
        return names(index, "+triggers")
    except sqlite3.ProgrammingError:
        return ["closed"]


def test_old_files_are_deleted(tmp_path: Path) -> None:
    """Of the same search only, the oldest first, and none that is in use."""
    paths = [tmp_path / f"docs-{number:024x}.search" for number in range(4)]
    for age, path in enumerate(paths):
        path.touch()
        os.utime(path, (1e9 - age, 1e9 - age))
    others = [tmp_path / f"docs-more-{0:024x}.search", tmp_path / "docs-notes.search", tmp_path / "x.txt"]
    for path in others:
        path.touch()
    prune(tmp_path, "docs", 2, [paths[3]])
    assert sorted(tmp_path.iterdir()) == sorted([paths[0], paths[3], *others])


def test_fts5_is_there() -> None:
    """Or the gateway would not start with a search."""
    require_fts5()
