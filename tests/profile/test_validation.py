from __future__ import annotations

import textwrap

import pytest

from tests.profile.folder import ANY_KIND, Folder


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[cache.memory]\nmax_size = 5", '2:12: cache.memory.max_size: expected a size such as "256MB", found 5'),
        ("[cache.memory]\nttl = '0s'", '2:7: cache.memory.ttl: expected more than 0, found "0s"'),
        ("[cache]\npool_size = 0", "2:13: cache.pool_size: expected at least 1, found 0"),
        ("[cache]\npool_size = true", "2:13: cache.pool_size: expected a whole number, found true"),
        ("[cache]\npool_size = 1.5", "2:13: cache.pool_size: expected a whole number, found 1.5"),
        ("[upstream_defaults]\nretries = 21", "2:11: upstream_defaults.retries: expected at most 20, found 21"),
        ("[admin]\nenabled = 'no'", '2:11: admin.enabled: expected true or false, found "no"'),
        ("[server]\ntitle = 1", "2:9: server.title: expected a string, found 1"),
        ("[server]\nbind = '127.0.0.1:1'", '2:8: server.bind: expected an array, found "127.0.0.1:1"'),
        ("[server]\nbind = []", "1:1: server: expected an address in `bind`, or a path in `sockets`, found neither"),
        (
            "[server]\nbind = ['here']",
            '2:9: server.bind[0]: expected an address such as "127.0.0.1:8765" or "[::1]:8765", found "here"',
        ),
        (
            "[server]\nbind = ['here:1']",
            '2:9: server.bind[0]: expected an IP address and a port, such as "127.0.0.1:8765" or "[::1]:8765", '
            'found "here:1"',
        ),
        ("[server]\npath = 'mcp'", '2:8: server.path: expected a path such as "/mcp", found "mcp"'),
        ("server = 1", "1:10: server: expected a table, found 1"),
        ("tools = []", "1:9: tools: expected a table, found an empty array"),
        ("[upstreams]\na = 1", "2:5: upstreams.a: expected a table, found 1"),
        ("[warm]\ncalls = [1]", "2:10: warm.calls[0]: expected a table, found 1"),
        (
            "[logging]\nlevel = 'warn'",
            '2:9: logging.level: expected "debug", "info", "warning" or "error", found "warn"',
        ),
        ("[strategies.a]", "1:1: strategies.a.ttl: expected the key ttl, found none"),
        ("[upstreams.a]", f"1:1: upstreams.a.type: expected the key type, {ANY_KIND}, found none"),
        ("[upstreams.a]\ntype = 'htp'", f'2:8: upstreams.a.type: expected {ANY_KIND}, found "htp"'),
        ("[upstreams.a]\ntype = 5", f"2:8: upstreams.a.type: expected {ANY_KIND}, found 5"),
        (
            "[upstreams.a]\ntype = 'npm'\npackage = 'A b'",
            '3:11: upstreams.a.package: expected a package such as "vue" or "@vue/shared", found "A b"',
        ),
        (
            "[strategies.'a b']\nttl = '1s'",
            '1:13: strategies."a b": expected a name of letters, digits, "_", "-" and ".", that begins with a letter '
            'or digit, at most 64 characters, found "a b"',
        ),
        (
            "[monitors.memory]\nwarning = '2GB'\ncritical = '1GB'",
            "1:1: monitors.memory: expected a `warning` that is at most `critical`, found 2GB and 1GB",
        ),
        (
            "[[warm.calls]]\ntool = 't'\narguments = { day = 2026-01-01 }",
            "3:21: warm.calls[0].arguments.day: expected a JSON value; put dates and times in quotes, found 2026-01-01",
        ),
        (
            "[[warm.calls]]\ntool = 't'\neach = { x = [1, [nan]] }",
            "3:18: warm.calls[0].each.x[1]: expected a JSON value, found nan",
        ),
        (
            "[upstreams.a]\ntype = 'http'\nbase_url = 'https://me@example.org'",
            '3:12: upstreams.a.base_url: expected an address such as "https://example.org/api", without a user name, '
            'found "https://me@example.org"',
        ),
        (
            "[upstreams.a]\ntype = 'http'\nbase_url = 'https://{host}/api'",
            "3:12: upstreams.a.base_url: expected a template in the path only, never in scheme, host or port, "
            'found "https://{host}/api"',
        ),
        (
            "[upstreams.a]\ntype = 'http'\nbase_url = 'https://example.org/?q=1'",
            "3:12: upstreams.a.base_url: expected an address without ? and #; use query = { … } of the fetch, "
            'found "https://example.org/?q=1"',
        ),
    ],
)
def test_one_fault(folder: Folder, text: str, line: str) -> None:
    """Every kind of fault says where, what was expected and what was found."""
    assert folder.lines(text) == [f"p.toml:{line}"]


TOOL = """
    [strategies.s]
    ttl = "1m"
    [upstreams.u]
    type = "npm"
    package = "p"
    [tools.t]
    description = "d"
    strategy = "s"
"""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "fetch = { upstream = 'u', path = 'a/{b' }",
            "9:34: tools.t.fetch.path: expected a template such as \"docs/{name}.md\" (a single '{' at character 3; "
            'write it twice), found "a/{b"',
        ),
        (
            "fetch = { upstream = 'u', path = 'a', version = '1' }\nresult = { select = 'a[' }",
            '10:21: tools.t.result.select: expected a JMESPath expression (incomplete expression), found "a["',
        ),
        (
            "fetch = { upstream = 'u', path = 'a' }\ninput = { properties = 5 }",
            '10:9: tools.t.input: expected a JSON Schema (5 is not of type "object"), found a table',
        ),
        (
            "fetch = { upstream = 'u', path = 'a' }\ninput = { type = 'array' }",
            '10:9: tools.t.input: expected a JSON Schema whose type is "object", found a table',
        ),
        (
            "",
            "6:1: tools.t: expected `fetch`, `fetches`, or a `result.select` that makes the answer of the arguments "
            "alone, found none",
        ),
        (
            "fetch = { upstream = 'u', path = 'a' }\nfetches.a = { upstream = 'u', path = 'a' }",
            "6:1: tools.t: expected either `fetch` (one document) or `fetches` (several, by name), found both",
        ),
    ],
)
def test_faults_of_tools(folder: Folder, text: str, line: str) -> None:
    """What does not parse is told with the reason."""
    assert folder.lines(textwrap.dedent(TOOL) + text) == [f"p.toml:{line}"]


def test_a_schema_fetches_nothing(folder: Folder) -> None:
    """A reference to another document is a fault: checking a profile asks nobody over the network."""
    text = "fetch = { upstream = 'u', path = 'a' }\ninput = { '$ref' = 'http://192.0.2.1/schema.json' }"
    (line,) = folder.lines(textwrap.dedent(TOOL) + text)
    assert line.startswith(
        "p.toml:10:9: tools.t.input: expected a JSON Schema (Resource 'http://192.0.2.1/schema.json'"
    )


def test_unknown_keys(folder: Folder) -> None:
    """An unknown key is told at the key, with the ones there are and the one that was probably meant."""
    (fault,) = folder.faults("[cache.memory]\nmax_sise = '1MB'")
    assert str(fault) == (
        "p.toml:2:1: cache.memory.max_sise: expected one of the keys enabled, max_size, max_items, ttl, algorithm or "
        'curve, found "max_sise"\n'
        "     2 | max_sise = '1MB'\n"
        "       | ^\n"
        "         did you mean max_size?"
    )


def test_unknown_tables(folder: Folder) -> None:
    """At the top of a profile `extends` is one of the keys."""
    (fault,) = folder.faults("extend = ['base.toml']")
    assert fault.suggestion == "extends"
    (fault,) = folder.faults("[cahce.memory]")
    assert (fault.line, fault.column, fault.suggestion) == (1, 2, "cache")


def test_a_key_called_like_a_tag(folder: Folder) -> None:
    """An upstream's key that is called like a type of upstream is not mistaken for the type."""
    assert [line.split(":")[:4] for line in folder.lines("[upstreams.a]\ntype = 'http'\nhttp = 1\nbase_url = 5")] == [
        ["p.toml", "3", "1", " upstreams.a.http"],
        ["p.toml", "4", "12", " upstreams.a.base_url"],
    ]


def test_words_are_suggested(folder: Folder) -> None:
    """A word that is nearly one of the allowed ones is suggested as TOML has it."""
    (fault,) = folder.faults("[logging]\nformat = 'JSON'")
    assert fault.suggestion == '"json"'


def test_elements_are_told_once(folder: Folder) -> None:
    """Faulty elements are faults; that none is left without them is no other."""
    assert len(folder.lines("[server]\nbind = [1, 2]")) == 2


def test_a_key_called_like_a_mark(folder: Folder) -> None:
    """A key that is called like pydantic's mark of keys is an unknown key like any other."""
    (line, *_) = folder.lines("[strategies.s]\n'[key]' = 1")
    assert line.startswith("p.toml:1:1: strategies.s.ttl: ")
    assert folder.lines("[strategies.s]\nttl = '1s'\n'[key]' = 1")[0].startswith('p.toml:3:1: strategies.s."[key]": ')
