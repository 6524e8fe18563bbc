from __future__ import annotations

import textwrap

import pytest

from tests.profile.folder import Folder

TOOL = """
    strategies.s.ttl = "1m"
    [upstreams.u]
    type = "http"
    base_url = "https://example.org"
    [tools.t]
    description = "d"
    strategy = "s"
    annotations = { read_only = true }
    input.properties = { name = { type = "string" } }
    output.properties = { list = { type = "array" }, about = { type = "string" } }
    fetch = { upstream = "u", path = "{name}" }
"""


@pytest.mark.parametrize(
    ("result", "fault"),
    [
        ('max_output = "24"', 'max_output: expected a size such as "256MB", found "24"'),
        ('max_output = "1B"', "max_output: expected at least 1000"),
        ('pages_of = ["about"], max_output = "2KB"', "pages_of[0]: expected the way to an array; output declares"),
        ('pages_of = ["a..b"]', "pages_of[0]: expected the way to an array"),
        ('pages_of = ["a", "a.b"]', "pages_of[1]: expected a way that does not lead into another array"),
        ('format = "text", pages_of = ["list"]', 'pages_of: expected no pages_of beside format = "text"'),
        ('text = "{name}", each = { list = "x" }', "each.list: expected {list} in result.text"),
        ('text = "{", each = {}', "text: expected a template"),
    ],
)
def test_faults(folder: Folder, result: str, fault: str) -> None:
    """Each names the key, and says what was expected there."""
    told = "\n".join(folder.lines(textwrap.dedent(TOOL) + f"result = {{ {result} }}\n"))
    assert f"tools.t.result.{fault}" in told


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("read_only = true", "read_only = false", "expected no budget for a tool that is not read-only"),
        ("name = {", "cursor = {", "expected no argument cursor of the tool's own beside it"),
        ("about =", "nextCursor =", "expected no output nextCursor of the tool's own beside it"),
        ('"array"', '"object"', "expected the key pages_of beside it"),
    ],
)
def test_budgets_that_cannot_be_kept(folder: Folder, old: str, new: str, fault: str) -> None:
    """A budget is refused where the rest could not be had, or where nothing says what is cut."""
    text = textwrap.dedent(TOOL).replace(old, new).replace('"{name}"', '"a"') + 'result.max_output = "2KB"\n'
    assert f"tools.t.result.max_output: {fault}" in "\n".join(folder.lines(text))


def test_what_can_be_cut(folder: Folder) -> None:
    """The arrays that are declared, named ones, or a text."""
    for result in ("", ', pages_of = ["list"]', ', format = "text"'):
        folder.load(textwrap.dedent(TOOL) + f'result = {{ max_output = "2KB"{result} }}\n')


def test_a_way_to_cut_without_a_budget(folder: Folder) -> None:
    """It is a contradiction, until there is a budget for all."""
    text = textwrap.dedent(TOOL) + 'result.pages_of = ["list"]\n'
    assert "tools.t.result.pages_of: warning: nothing is cut without a budget" in "\n".join(folder.warnings(text))
    assert folder.warnings(text + '[server]\nmax_output = "24KB"\n') == []
