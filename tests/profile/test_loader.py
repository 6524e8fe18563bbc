from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ProfileError
from gateway.profile.loader import load_profile
from gateway.profile.upstreams.http import HttpUpstream
from tests.profile.folder import Folder
from tests.profile.sections import ALL

FIVE = """
    [cache.memory]
    max_size = "256 megs"
    max_itmes = 5

    [strategies.components]
    ttl = "30m"

    [upstreams.docs]
    type = "http"
    base_url = "https://example.org/${TOKN}"

    [tools.get]
    description = "é: what it gets"
    strategy = "componets"
    fetch = { upstream = "docs", path = "é/{nmae}.md" }
    input.properties.name = { type = "string" }
"""


def test_five_faults(folder: Folder) -> None:
    """A profile with five faults reports five, of every kind, each at its line and column."""
    faults = folder.faults(FIVE, environ={"TOKEN": "x"})
    assert [(fault.line, fault.column, fault.suggestion) for fault in faults] == [
        (2, 12, '"256MB"'),
        (3, 1, "max_items"),
        (10, 12, "TOKEN"),
        (14, 12, '"components"'),
        (15, 37, "{name}"),
    ]


def test_all_in_one_message(folder: Folder) -> None:
    """The error's text is every fault, with an empty line between them."""
    with pytest.raises(ProfileError) as caught:
        folder.load("[cache]\npool_size = 0\n[metrics]\ninterval = 5")
    assert str(caught.value) == (
        "p.toml:2:13: cache.pool_size: expected at least 1, found 0\n"
        "     2 | pool_size = 0\n"
        "       |             ^\n"
        "\n"
        'p.toml:4:12: metrics.interval: expected a duration such as "15m" or "50ms", found 5\n'
        "     4 | interval = 5\n"
        "       |            ^\n"
        '         did you mean "5s"?'
    )


def test_faults_that_hide_no_others(folder: Folder) -> None:
    """A tool with a faulty part is still checked for its references."""
    text = """
        [strategies.s]
        ttl = "1m"
        [tools.t]
        description = "d"
        strategy = "x"
        result = { select = "a[", form = 1 }
        tags = ["{nobody}"]
        fetch = { upstream = "nowhere", path = "a" }
    """
    assert [line.split(": ")[1] for line in folder.lines(text)] == [
        "tools.t.strategy",
        "tools.t.result.select",
        "tools.t.result.form",
        "tools.t.tags[0]",
        "tools.t.fetch.upstream",
    ]


def test_faulty_arguments_blame_nobody(folder: Folder) -> None:
    """Where a tool's input is faulty, the names that depend on it are not faults too."""
    text = """
        [strategies.s]
        ttl = "1m"
        [upstreams.u]
        type = "npm"
        package = "p"
        [tools.t]
        description = "d"
        strategy = "s"
        fetch = { upstream = "u", path = "{name}" }
        input = { properties = 5 }
    """
    assert [line.split(": ")[1] for line in folder.lines(text)] == ["tools.t.input"]


def test_a_value_that_can_not_be_filled_in(folder: Folder) -> None:
    """A missing variable is one fault, not also a wrong value."""
    (line,) = folder.lines('[cache.memory]\nmax_size = "${SIZE}"')
    assert line == (
        "p.toml:2:12: cache.memory.max_size: expected the environment variable SIZE, or ${SIZE:-default}, "
        "found no such variable"
    )


def test_secrets_are_not_told(folder: Folder) -> None:
    """What was filled in is never part of a message: not as the value found, a reason, or a suggestion."""
    text = """
        [logging]
        level = "${SECRET}"
        [cache.memory]
        max_size = "${SECRET}"
        [strategies.s]
        ttl = "1m"
        [upstreams.u]
        type = "http"
        base_url = "ftp://${SECRET}/{${SECRET}}"
        [tools.t]
        description = "d"
        strategy = "${SECRET}"
        fetch = { upstream = "u", path = "a", headers = { A = "{${SECRET}" } }
        input.properties.a = { type = "string", enum = ["${SECRET}"], default = "x" }
        input.required = ["${SECRET}"]
        result.select = "[${SECRET}"
    """
    with pytest.raises(ProfileError) as caught:
        folder.load(text, environ={"SECRET": "hunter2"})
    assert "hunter2" not in str(caught.value)
    assert 'found "${SECRET}"' in str(caught.value)
    assert len(caught.value.faults) >= 6


def test_origins(folder: Folder) -> None:
    """Every key that is set has the place where it was set; what has none is a default."""
    folder.write("base.toml", "[cache.memory]\nmax_size = '1MB'\nmax_items = 5")
    loaded = folder.load("extends = ['base.toml']\n[cache.memory]\nmax_items = 6")
    assert loaded.name == "p"
    assert [loaded.origins["cache", "memory", key].label for key in ("max_size", "max_items")] == [
        "base.toml:2",
        "p.toml:3",
    ]
    assert ("cache", "memory", "ttl") not in loaded.origins


def test_upstream_defaults(folder: Folder) -> None:
    """Every upstream starts from the defaults, deeply, and can say otherwise; the origin is the defaults' line."""
    text = """
        [upstream_defaults]
        timeout = "5s"
        pool = { max_connections = 7, max_keepalive = 3 }
        [upstreams.a]
        type = "http"
        base_url = "https://example.org/"
        pool.max_keepalive = 4
    """
    loaded = folder.load(text)
    upstream = loaded.profile.upstreams["a"]
    assert isinstance(upstream, HttpUpstream)
    assert upstream.base_url == "https://example.org"
    assert (upstream.timeout, upstream.pool.max_connections, upstream.pool.max_keepalive) == (5.0, 7, 4)
    assert loaded.origins["upstreams", "a", "timeout"].label == "p.toml:2"


def test_a_fault_of_the_defaults_is_told_once(folder: Folder) -> None:
    """What is wrong with the defaults is not told again for every upstream."""
    text = """
        [upstream_defaults]
        timeout = 5
        retires = 1
        [upstreams.a]
        type = "npm"
        package = "a"
        [upstreams.b]
        type = "npm"
        package = "b"
    """
    assert [line.split(": ")[1] for line in folder.lines(text)] == [
        "upstream_defaults.timeout",
        "upstream_defaults.retires",
    ]


def test_paths_in_messages(folder: Folder) -> None:
    """Files below the working folder are named relative to it, others wholly."""
    path = folder.write("inner/p.toml", "x = 1")
    for cwd, name in ((folder.path, "inner/p.toml"), (path.parent, "p.toml"), (Path("/nowhere"), str(path))):
        with pytest.raises(ProfileError) as caught:
            load_profile(str(path), environ={}, cwd=cwd, folders=[])
        assert str(caught.value).startswith(f"{name}:1:1: x: expected one of the keys extends, description, server")


def test_an_unknown_profile(folder: Folder) -> None:
    """A profile that is not there is a ProfileError too."""
    with pytest.raises(ProfileError, match="--profile dev: expected a profile in"):
        load_profile("dev", environ={}, cwd=folder.path)


def load_anything(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "p.toml"
        path.write_bytes(content)
        with contextlib.suppress(ProfileError):
            load_profile(str(path), environ={"A": "b"}, cwd=Path(name), folders=[])


KEYS = st.sampled_from(
    [
        *sorted({name for section in ALL for name in section.model_fields}),
        *("extends", "properties", "required", "default", "$ref", "s", "u", "t", "[key]", "http"),
    ]
)
WORDS = st.sampled_from(
    [
        "http",
        "npm",
        "s",
        "u",
        "t",
        "1s",
        "1MB",
        "{name}",
        "{a",
        "${A}",
        "${",
        "a[",
        "arg('x')",
        "https://a/{x}",
        "https://[",
        "http://a:b",
        "127.0.0.1:1",
        "object",
        "@",
        "/",
        "name",
        "#/x",
        "p.toml",
        "..",
        "",
    ]
)
SCALARS = st.one_of(
    WORDS, st.text(max_size=5), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.dates(), st.times()
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=30
)


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes(content: bytes) -> None:
    """Any file is a profile or a ProfileError."""
    load_anything(content)


@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_any_table(table: dict[str, Any]) -> None:
    """Any TOML is a profile or a ProfileError."""
    load_anything(tomli_w.dumps(table).encode())


TOOLS = st.fixed_dictionaries(
    {
        "description": st.just("d"),
        "strategy": WORDS,
        "fetch": st.fixed_dictionaries({"upstream": WORDS, "path": WORDS}),
    },
    optional={
        "input": st.fixed_dictionaries({}, optional={"properties": VALUES, "required": VALUES, "$ref": WORDS}),
        "tags": st.lists(WORDS, max_size=2),
        "normalize": VALUES,
        "result": st.fixed_dictionaries({}, optional={"select": WORDS, "missing": WORDS, "nearest": VALUES}),
    },
)
UPSTREAMS = st.fixed_dictionaries({"type": WORDS}, optional={"base_url": WORDS, "package": WORDS, "pool": VALUES})


@given(
    st.fixed_dictionaries(
        {
            "strategies": st.just({"s": {"ttl": "1s"}}),
            "upstreams": st.dictionaries(WORDS, UPSTREAMS, max_size=2),
            "tools": st.dictionaries(WORDS, TOOLS, max_size=2),
        },
        optional={"warm": st.fixed_dictionaries({"calls": st.lists(VALUES, max_size=2)}), "upstream_defaults": VALUES},
    )
)
def test_almost_profiles(table: dict[str, Any]) -> None:
    """What is nearly a profile is a profile or a ProfileError."""
    load_anything(tomli_w.dumps(table).encode())


def test_a_credential_in_an_address(folder: Folder, tmp_path: Path) -> None:
    """An address stands in logs and answers, so a credential in one is a fault; in a header it is not."""
    (tmp_path / "token").write_text("canary")
    text = """
        [upstreams.bot]
        type = "http"
        base_url = "https://example.org/bot${credential:token}"
        headers = { Authorization = "Bearer ${credential:token}" }
    """
    (found,) = folder.lines(text, environ={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert found == (
        "p.toml:3:12: upstreams.bot.base_url: expected an address without a credential, which belongs into headers, "
        'found "https://example.org/bot${credential:token}"'
    )
