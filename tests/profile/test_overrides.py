from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.profile.faults import Fault
from gateway.profile.overrides import override, parse_value
from gateway.profile.tree import Origin, grow
from gateway.profile.upstreams.http import HttpUpstream
from tests.profile.folder import Folder

DOCS = """
    [upstreams.varlet-docs]
    type = "http"
    base_url = "https://example.org"
    [strategies.s]
    ttl = "1m"
    [tools.t]
    description = "d"
    strategy = "s"
    fetch = { upstream = "varlet-docs", path = "p" }
"""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1GB", "1GB"),
        ("https://example.org/#x", "https://example.org/#x"),
        ("true", True),
        ("5", 5),
        (" -5 ", -5),
        ("1_000", 1000),
        ("0.5", 0.5),
        ('["a", 1]', ["a", 1]),
        ("{ max = 5 }", {"max": 5}),
        ('"5"', "5"),
        ("nan", "nan"),
        ("2026-01-01", "2026-01-01"),
        ("", ""),
        ("[1", "[1"),
        ("1\nb = 2", "1\nb = 2"),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_values(text: str, value: Any) -> None:
    """A value is TOML where it is TOML that JSON has too, and else a string as it stands."""
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)


def test_the_environment(folder: Folder) -> None:
    """A variable overrides the key that its name spells; later than the files, earlier than --set."""
    environ = {"GATEWAY__CACHE__MEMORY__MAX_SIZE": "1GB", "GATEWAY__CACHE__POOL_SIZE": "3", "GATEWAY_CACHE": "x"}
    loaded = folder.load("[cache]\npool_size = 2", environ=environ, overrides=["cache.pool_size=4"])
    assert loaded.profile.cache.memory.max_size == 10**9
    assert loaded.profile.cache.pool_size == 4
    assert loaded.origins["cache", "memory", "max_size"].label == "GATEWAY__CACHE__MEMORY__MAX_SIZE"
    assert loaded.origins["cache", "pool_size"].label == "--set"


def test_names_with_a_dash(folder: Folder) -> None:
    """In a variable's name `_` stands for `-`, and case does not matter."""
    loaded = folder.load(DOCS, environ={"GATEWAY__upstreams__VARLET_DOCS__POOL__MAX_CONNECTIONS": "7"})
    docs = loaded.profile.upstreams["varlet-docs"]
    assert isinstance(docs, HttpUpstream)
    assert docs.pool.max_connections == 7


def test_a_new_header(folder: Folder) -> None:
    """Tables with free keys take new ones, in lower case."""
    loaded = folder.load(DOCS, environ={"GATEWAY__UPSTREAMS__VARLET_DOCS__HEADERS__X_KEY": "abc"})
    docs = loaded.profile.upstreams["varlet-docs"]
    assert isinstance(docs, HttpUpstream)
    assert docs.headers == {"x_key": "abc"}


@pytest.mark.parametrize(
    ("variable", "line", "hint"),
    [
        (
            "GATEWAY__CACHE__POLL_SIZE",
            "cache: expected one of memory, disk, shared or pool_size, found POLL_SIZE",
            "pool_size",
        ),
        (
            "GATEWAY__UPSTREAMS__VARLET_DOC__TIMEOUT",
            "upstreams: expected one of varlet-docs, found VARLET_DOC",
            "varlet-docs",
        ),
        ("GATEWAY__STRATEGIES__X__TTL", "strategies: expected one of s, found X", None),
        (
            "GATEWAY__CACHE____TTL",
            "expected a name such as GATEWAY__CACHE__MEMORY__MAX_SIZE, found an empty part",
            None,
        ),
    ],
)
def test_unknown_variables(folder: Folder, variable: str, line: str, hint: str | None) -> None:
    """A variable that means no key is a fault that names it."""
    (fault,) = folder.faults(DOCS, environ={variable: "5"})
    assert str(fault).split("\n")[0] == f"{variable}: {line}"
    assert fault.suggestion == hint


def test_a_wrong_value_in_the_environment(folder: Folder) -> None:
    """A value that does not fit is a fault of the variable."""
    assert folder.lines("[cache]\npool_size = 2", environ={"GATEWAY__CACHE__POOL_SIZE": "1GB"}) == [
        'GATEWAY__CACHE__POOL_SIZE: cache.pool_size: expected a whole number, found "1GB"'
    ]


def test_set(folder: Folder) -> None:
    """--set takes dotted and quoted keys, and any value."""
    loaded = folder.load(
        DOCS,
        overrides=[
            'upstreams."varlet-docs".timeout=5s',
            "upstreams.varlet-docs . retries = 1",
            'server.bind=["127.0.0.1:0"]',
            "server.title=a=b",
        ],
    )
    docs = loaded.profile.upstreams["varlet-docs"]
    assert isinstance(docs, HttpUpstream)
    assert (docs.timeout, docs.retries) == (5.0, 1)
    assert loaded.profile.server.bind == ("127.0.0.1:0",)
    assert loaded.profile.server.title == "a=b"


def test_an_override_moves_nothing_else(folder: Folder) -> None:
    """The table around an overridden key stays where it was: what it misses is still told in the file."""
    assert folder.lines('[upstreams.a]\ntype = "http"', overrides=["upstreams.a.timeout=5s"]) == [
        "p.toml:1:1: upstreams.a.base_url: expected the key base_url, found none"
    ]


@pytest.mark.parametrize("assignment", ["", "cache", "=5", "a..b=1", "a b=1", '"a=1'])
def test_not_an_assignment(folder: Folder, assignment: str) -> None:
    """What is no KEY=VALUE is a fault that shows one."""
    (line,) = folder.lines("[cache]", overrides=[assignment])
    assert line.startswith("--set: expected KEY=VALUE such as cache.memory.max_size=1GB, found ")


@pytest.mark.parametrize("assignment", ["server.title=\udcff", 'upstreams.varlet-docs.headers."\udcff"=x'])
def test_other_bytes(folder: Folder, assignment: str) -> None:
    """What is not UTF-8 is a fault, in a value and in a key, of an option and of a variable."""
    (line,) = folder.lines(DOCS, overrides=[assignment])
    assert line.startswith("--set: ")
    assert line.endswith(": expected UTF-8 text, found other bytes")
    assert folder.lines(DOCS, environ={"GATEWAY__SERVER__TITLE": "\udcff"}) == [
        "GATEWAY__SERVER__TITLE: server.title: expected UTF-8 text, found other bytes"
    ]


def test_unknown_keys_of_set(folder: Folder) -> None:
    """A key that the profile does not have is a fault of --set."""
    (fault,) = folder.faults("[cache]", overrides=["cache.pol_size=1"])
    assert str(fault) == (
        '--set: cache.pol_size: expected one of the keys memory, disk, shared or pool_size, found "pol_size"\n'
        "         did you mean pool_size?"
    )


def test_set_into_a_scalar(folder: Folder) -> None:
    """A key below a value that is no table is a fault, not a crash."""
    assert folder.lines("[cache]\npool_size = 2", overrides=["cache.pool_size.x=1"]) == [
        "--set: cache.pool_size: expected a whole number, found a table"
    ]


def test_too_deep(folder: Folder) -> None:
    """Overrides are bounded in depth as files are."""
    assert folder.lines("[cache]", overrides=["a" + ".a" * 5000 + "=1"]) == [
        "--set: expected tables and arrays nested at most 100 deep, found more"
    ]


def test_overrides_are_filled_in(folder: Folder) -> None:
    """References in overrides mean the same as in files."""
    loaded = folder.load("[server]", environ={"T": "x"}, overrides=["server.title=${T}"])
    assert loaded.profile.server.title == "x"
    assert loaded.written["server", "title"] == "${T}"


@given(st.dictionaries(st.text(), st.text(), max_size=3), st.lists(st.text(), max_size=3))
def test_anything(environ: dict[str, str], assignments: list[str]) -> None:
    """Any environment and any options give a tree and faults, never an exception."""
    root = grow({"cache": {"pool_size": 1}, "upstreams": {"a": {"type": 5}}}, lambda path: Origin("test"))
    _, faults = override(root, {f"GATEWAY__{name}": value for name, value in environ.items()}, assignments)
    assert all(isinstance(fault, Fault) for fault in faults)
