from __future__ import annotations

import textwrap

import pytest

from tests.profile.folder import ANY_KIND, Folder

PROFILE = """
    strategies.components.ttl = "1m"
    [upstreams.docs]
    type = "http"
    base_url = "https://example.org/{version}"
    versions = { url = "https://example.org/list", select = "@" }
    [upstreams.package]
    type = "npm"
    package = "p"
    [tools.t]
    description = "d"
    strategy = "components"
    input.properties.name = { type = "string" }
    input.properties.version = { type = "string" }
    input.required = ["name"]
    fetch = { upstream = "docs", path = "{name}.md", version = "{version}" }
"""


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            '"components"',
            '"componets"',
            '11:12: tools.t.strategy: expected one of [strategies]: components, found "componets"',
        ),
        (
            '"docs"',
            '"dosc"',
            '15:22: tools.t.fetch.upstream: expected one of [upstreams]: docs or package, found "dosc"',
        ),
        (
            "{name}.md",
            "{nmae}.md",
            "15:37: tools.t.fetch.path: expected one of the declared arguments: name or version, found {nmae}",
        ),
        (
            '"{version}" }',
            '"{v}" }',
            "15:60: tools.t.fetch.version: expected one of the declared arguments: name or version, found {v}",
        ),
        (
            '["name"]',
            '["nam"]',
            '14:19: tools.t.input.required[0]: expected one of the declared arguments: name or version, found "nam"',
        ),
        (
            ', version = "{version}"',
            "",
            "15:9: tools.t.fetch.version: expected the key version, for the {version} of base_url, found none",
        ),
        ("/{version}", "/{vers}", "4:12: upstreams.docs.base_url: expected no field but {version}, found {vers}"),
        (
            'required = ["name"]',
            'required = ["name"]\ntags = ["tool:{name}"]',
            "15:9: tools.t.tags[0]: expected another prefix than tool:, which the gateway gives itself, "
            'found "tool:{name}"',
        ),
        (
            'required = ["name"]',
            'required = ["name"]\ninvalidates = ["thing:{nmae}"]',
            "15:16: tools.t.invalidates[0]: expected one of the declared arguments: name or version, found {nmae}",
        ),
    ],
)
def test_names_that_lead_nowhere(folder: Folder, old: str, new: str, line: str) -> None:
    """A name that is not declared is told where it is used, with the names that are."""
    text = PROFILE.replace(old, new, 1)
    if old == '"components"':
        assert text != PROFILE
    assert folder.lines(text) == [f"p.toml:{line}"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "tags = ['a', 'b:{nam}']",
            "16:14: tools.t.tags[1]: expected one of the declared arguments: name or version, found {nam}",
        ),
        (
            "normalize.nam = 'nam'",
            '16:11: tools.t.normalize.nam: expected one of the declared arguments: name or version, found "nam"',
        ),
        (
            "fetch.query = { q = '{nam}' }",
            "16:21: tools.t.fetch.query.q: expected one of the declared arguments: name or version, found {nam}",
        ),
        (
            "fetch.headers = { q = '{nam}' }",
            "16:23: tools.t.fetch.headers.q: expected one of the declared arguments: name or version, found {nam}",
        ),
        (
            "result.missing = '{nam}'",
            "16:18: tools.t.result.missing: expected one of the declared arguments: name or version, found {nam}",
        ),
        (
            "result.missing = '{nearest}'",
            "16:18: tools.t.result.missing: expected one of the declared arguments: name or version, found {nearest}",
        ),
        (
            "result.nearest = { of = '@', to = 'nam' }\nresult.missing = '{nearest}'",
            '16:35: tools.t.result.nearest.to: expected one of the declared arguments: name or version, found "nam"',
        ),
        (
            "result.select = \"a[?b == arg('nam')]\"",
            "16:17: tools.t.result.select: expected one of the declared arguments: name or version, found arg('nam')",
        ),
        (
            "input.properties.size = { type = 'integer', default = 'x' }",
            "16:55: tools.t.input.properties.size.default: expected a value that the property allows "
            '("x" is not of type "integer"), found "x"',
        ),
    ],
)
def test_arguments_that_nobody_declares(folder: Folder, text: str, line: str) -> None:
    """Every place that can name an argument is checked against the declared ones."""
    lines = textwrap.dedent(PROFILE.removeprefix("\n")).split("\n")
    if text.startswith("fetch."):
        lines[14:15] = [
            'fetch = { upstream = "docs", path = "{name}.md", version = "{version}" }'[:-2] + ", " + text[6:] + " }"
        ]
        (found,) = folder.lines("\n".join(lines))
        assert found.split(": ", 1)[1] == line.split(": ", 1)[1]
        return
    assert folder.lines("\n".join(lines) + text) == [f"p.toml:{line}"]


def test_a_tool_without_arguments(folder: Folder) -> None:
    """Where no arguments are declared, that is said."""
    text = PROFILE.replace("{name}.md", "a.md").replace('version = "{version}"', 'version = "{v}"')
    lines = [line for line in text.split("\n") if "input" not in line]
    (found,) = folder.lines("\n".join(lines))
    assert found.endswith("tools.t.fetch.version: expected a declared argument, of which there are none, found {v}")


def test_several_fetches(folder: Folder) -> None:
    """Each of several fetches is checked at its own place."""
    text = PROFILE.replace("fetch = {", "fetches.a = {").replace("{name}", "{x}")
    (found,) = folder.lines(text)
    assert found.startswith("p.toml:15:41: tools.t.fetches.a.path: ")


def test_the_fetch_of_nearest(folder: Folder) -> None:
    """The document that lists the names is checked like any other."""
    nearest = '{ of = "@", to = "name", fetch = { upstream = "none", path = "{x}" } }'
    paths = [line.split(": ")[1] for line in folder.lines(f"{PROFILE}    result.nearest = {nearest}")]
    assert paths == ["tools.t.result.nearest.fetch.upstream", "tools.t.result.nearest.fetch.path"]


def test_everything_allowed(folder: Folder) -> None:
    """Version and nearest are known where they can be filled in."""
    text = textwrap.dedent(PROFILE) + textwrap.dedent("""
        tags = ["{name}", "{version}"]
        result.missing = "{name} {version} {nearest}"
        result.nearest = { of = "@", to = "name" }
        result.select = "a[?b == arg('version')]"
        normalize.name = "name"
        [tools.u]
        description = "d"
        strategy = "components"
        fetch = { upstream = "package", path = "{version}/x", version = "latest" }
        """)
    assert folder.load(text).profile.tools.keys() == {"t", "u"}


def test_a_file_of_no_release(folder: Folder) -> None:
    """A file of a package is always one of a release, so a fetch without one could never work."""
    text = PROFILE.replace('"docs", path = "{name}.md", version = "{version}"', '"package", path = "{name}.md"')
    (found,) = folder.lines(text)
    assert found.endswith(
        "tools.t.fetch.version: expected the key version: a file of a package is one of a release, found none"
    )


@pytest.mark.parametrize("key", ["query", "headers"])
def test_a_file_of_a_package_has_no_query(folder: Folder, key: str) -> None:
    """Nor headers: the upstream would refuse the fetch at every call."""
    text = PROFILE.replace('"docs"', '"package"').replace('version = "{version}" }', f'version = "1", {key}.a = "x" }}')
    (found,) = folder.lines(text)
    assert f"tools.t.fetch.{key}: expected no {key}: a file of a package is named by path and version alone" in found


def test_a_release_of_nobody_knows_which(folder: Folder) -> None:
    """A release is looked up in the upstream's list, so without one a fetch with a version could never work."""
    text = "\n".join(line for line in PROFILE.split("\n") if "versions =" not in line)
    (found,) = folder.lines(text)
    assert found.endswith(
        "tools.t.fetch.version: expected no version, or upstreams.docs.versions, which says where releases are listed, "
        'found "{version}"'
    )


def test_a_watch_that_has_nothing_to_look_at(folder: Folder) -> None:
    """New releases are looked for in the upstream's list, so without one a watch could never work."""
    text = """
        [upstreams.docs]
        type = "http"
        base_url = "https://example.org"
        watch = { interval = "1m" }
    """
    (found,) = folder.lines(text)
    assert found.endswith(
        "upstreams.docs.watch: expected the key versions beside watch, which says where releases are listed, found none"
    )


def test_no_strategies(folder: Folder) -> None:
    """Where there are no strategies at all, that is said."""
    lines = folder.lines(PROFILE.replace('strategies.components.ttl = "1m"', ""))
    assert lines[0].endswith('tools.t.strategy: expected a name of [strategies], which is empty, found "components"')


def test_a_faulty_upstream_is_declared(folder: Folder) -> None:
    """An upstream whose own table is faulty is no unknown upstream."""
    assert folder.lines(PROFILE.replace('"npm"', '"nmp"').replace('"docs"', '"package"')) == [
        f'p.toml:7:8: upstreams.package.type: expected {ANY_KIND}, found "nmp"'
    ]


@pytest.mark.parametrize(
    ("server", "admin", "found"),
    [
        ("127.0.0.1:1", "127.0.0.1:1", True),
        ("127.0.0.1:1", "localhost:1", True),
        ("0.0.0.0:1", "127.0.0.1:1", True),
        ("127.0.0.1:0", "127.0.0.1:0", False),
        ("127.0.0.1:1", "127.0.0.1:2", False),
        ("127.0.0.1:1", "[::1]:1", False),
        ("127.0.0.1:1", "127.0.0.2:1", False),
    ],
)
def test_one_address_for_two(folder: Folder, server: str, admin: str, found: bool) -> None:
    """Two servers can't listen on one address."""
    text = f'[server]\nbind = ["{server}"]\nallowed_hosts = ["x"]\n[admin]\nbind = ["{admin}"]'
    if not found:
        assert folder.load(text)
        return
    expected = f'expected an address that nothing else listens on, found "{admin}", which [server] takes'
    assert folder.lines(text) == [f"p.toml:5:9: admin.bind[0]: {expected}"]


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("version", '"1"', '"1"'),
        ("query", '{ q = "1" }', "a table"),
        ("headers", '{ q = "1" }', "a table"),
    ],
)
def test_a_file_of_a_folder(folder: Folder, key: str, value: str, shown: str) -> None:
    """It has a path, and nothing that only an HTTP API or a package understands."""
    found = folder.lines(f"""
        strategies.s.ttl = "1m"
        upstreams.files = {{ type = "files", root = "docs" }}
        [tools.t]
        description = "d"
        strategy = "s"
        fetch = {{ upstream = "files", path = "a.md", {key} = {value} }}
    """)
    line = f"fetch.{key}: expected no {key}: a file of a folder is named by its path alone, found {shown}"
    assert [each.partition("tools.t.")[2] for each in found] == [line]


@pytest.mark.parametrize("root", ["/", "/proc", "/proc/self", "/dev/shm", "a/../..", ""])
def test_the_root_is_a_folder_of_documents(folder: Folder, root: str) -> None:
    """Not the system's own."""
    (line,) = folder.lines(f'upstreams.files = {{ type = "files", root = "{root}" }}')
    assert 'upstreams.files.root: expected a folder of its own such as "~/handbook", without "..", found' in line
