from __future__ import annotations

import pytest

from tests.profile.folder import Folder

HEAD = """
[strategies.s]
ttl = "1m"
[upstreams.u]
type = "http"
base_url = "https://example.org"
[tool_defaults.named]
strategy = "s"
input.required = ["name"]
input.properties.name = { type = "string", description = "its name" }
normalize.name = "kebab(name)"
[tool_defaults.listed]
result = { max_output = "10KB", format = "text" }
normalize.name = "lower(name)"
"""


def test_tools_start_from_defaults(folder: Folder) -> None:
    """Tables are merged deeply; of two defaults the later one wins, and the tool's own over both."""
    loaded = folder.load(
        HEAD
        + """
[tools.t]
defaults = ["named", "listed"]
description = "d"
input.properties.name.description = "another"
input.properties.size = { type = "integer" }
fetch = { upstream = "u", path = "{name}" }
[tools.u]
defaults = ["named"]
description = "d"
fetch = { upstream = "u", path = "{name}" }
"""
    )
    tool, other = loaded.profile.tools["t"], loaded.profile.tools["u"]
    assert tool.input["properties"] == {
        "name": {"type": "string", "description": "another"},
        "size": {"type": "integer"},
    }
    assert (tool.strategy, tool.normalize, tool.result.max_output) == ("s", {"name": "lower(name)"}, 10_000)
    assert (other.normalize, other.result.max_output) == ({"name": "kebab(name)"}, None)
    assert loaded.origins["tools", "u", "strategy"].line == 7


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            'defaults = ["nam"]\nstrategy = "s"',
            'p.toml:17:13: tools.t.defaults[0]: expected one of [tool_defaults]: listed or named, found "nam"',
        ),
        ("defaults = 5\nstrategy = 's'", "p.toml:17:12: tools.t.defaults: expected an array, found 5"),
        (
            'defaults = ["named"]\nderive = { name = "name" }',
            'p.toml:18:12: tools.t.derive.name: expected a name that no argument has, found "name"',
        ),
    ],
)
def test_faults(folder: Folder, text: str, line: str) -> None:
    """A name that leads nowhere, and what is no list of names."""
    tool = '[tools.t]\ndescription = "d"\nfetch = { upstream = "u", path = "x" }\n'
    assert folder.lines(f"{HEAD}{tool}{text}") == [line]


def test_a_fault_of_defaults_is_told_once(folder: Folder) -> None:
    """At its place, however many tools start from it."""
    tools = "".join(
        f'[tools.t{number}]\ndefaults = ["named"]\ndescription = "d"\nfetch = {{ upstream = "u", path = "x" }}\n'
        for number in range(3)
    )
    assert folder.lines(HEAD.replace('"kebab(name)"', '"kebab("', 1) + tools) == [
        'p.toml:10:18: tools.t0.normalize.name: expected a JMESPath expression (incomplete expression), found "kebab("'
    ]


@pytest.mark.parametrize(
    ("fetch", "line"),
    [
        (
            'releases = true, path = "x"',
            'tools.t.fetch.path: expected no path beside releases, which are all that there are, found "x"',
        ),
        (
            "releases = true",
            "tools.t.fetch.releases: expected no releases, or upstreams.u.versions, which says where they are listed, "
            "found true",
        ),
        (
            "path = '', when = \"arg('x')\"",
            "tools.t.fetch.when: expected a declared argument, of which there are none, found arg('x')",
        ),
    ],
)
def test_faults_of_fetches(folder: Folder, fetch: str, line: str) -> None:
    """What can't be asked for, and arguments that nobody declares."""
    tool = f'[tools.t]\ndescription = "d"\nstrategy = "s"\nfetch = {{ upstream = "u", {fetch} }}\n'
    assert line in [found.partition(": ")[2] for found in folder.lines(HEAD + tool)]
