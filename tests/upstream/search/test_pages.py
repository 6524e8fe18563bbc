from __future__ import annotations

from typing import Any

import pytest

from gateway.profile.upstreams.search import SearchDocuments
from gateway.upstream.search.pages import Page, Rule, pages


def rule(path: str, **more: Any) -> Rule:
    return Rule(SearchDocuments.model_validate({"path": path, **more}))


@pytest.mark.parametrize(
    ("pattern", "path", "fields"),
    [
        ("docs/{page}.md", "docs/button.md", {"page": "button"}),
        ("docs/{page}.md", "docs/a/button.md", None),
        ("docs/{page}.md", "docs/.md", None),
        ("src/{name}/docs/{language}.md", "src/button/docs/en-US.md", {"name": "button", "language": "en-US"}),
        ("{name}/{name}.md", "a/a.md", {"name": "a"}),
        ("{name}/{name}.md", "a/b.md", None),
        ("{name}.{language}.md", "a.b.md", {"name": "a", "language": "b"}),
        ("{a}-{b}", "x-y-z", {"a": "x", "b": "y-z"}),
        ("**/{page}.md", "a/b/c.md", {"page": "c"}),
        ("**/{page}.md", "c.md", {"page": "c"}),
        ("{top}/**/{page}.md", "a/b/c/d.md", {"top": "a", "page": "d"}),
        ("*/*.md", "a/b.md", {}),
        ("*/{page}*.md", "a/bcd.md", {"page": "b"}),
        ("README.md", "README.md", {}),
    ],
)
def test_fields_of_a_path(pattern: str, path: str, fields: dict[str, str] | None) -> None:
    """What each field stands for, or that the path is another."""
    found = pages([rule(pattern)], [path])
    assert [page.fields for page in found] == ([] if fields is None else [fields])


def test_named_values_need_no_list() -> None:
    """Every combination, with the fields made of them."""
    one = rule("{name}.{language}.md", each={"name": ["a", "b"], "language": ["en", "zh"]}, fields={"url": "/{name}"})
    assert not one.needs_list
    found = pages([one], None)
    assert [page.path for page in found] == ["a.en.md", "a.zh.md", "b.en.md", "b.zh.md"]
    assert found[1] == Page("a.zh.md", ("a", "zh"), {"name": "a", "language": "zh", "url": "/a"}, 1.0)


def test_some_named_values_narrow_the_list() -> None:
    """A dot within a name does not confuse them."""
    one = rule("docs/{name}.{language}.md", each={"language": ["en-US"]}, weight=2.0)
    assert one.needs_list
    found = pages([one], ["/docs/a.b.en-US.md", "docs/a.zh-CN.md", "docs/c.en-US.md"])
    assert [(page.fields["name"], page.weight) for page in found] == [("a.b", 2.0), ("c", 2.0)]


def test_the_first_rule_that_fits_counts() -> None:
    """A document is searched once."""
    rules = [rule("home.md", fields={"kind": "start"}), rule("{page}.md", fields={"kind": "page"})]
    found = pages(rules, ["home.md", "other.md", "x" * 600 + ".md"])
    assert {page.path: page.fields["kind"] for page in found} == {"home.md": "start", "other.md": "page"}


def test_a_path_without_fields_has_a_name() -> None:
    """Its own, which is searched like a field."""
    assert pages([rule("CHANGELOG.md")], None)[0].names == ("CHANGELOG",)
