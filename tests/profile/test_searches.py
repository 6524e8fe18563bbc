from __future__ import annotations

import pytest

from tests.profile.folder import Folder

PROFILE = """
    strategies.s = { ttl = "1m", stale_while_revalidate = "1m" }
    [upstreams.docs]
    type = "http"
    base_url = "https://example.org/{version}"
    versions = { url = "https://example.org/list", select = "@" }
    [upstreams.files]
    type = "files"
    root = "docs"
    [upstreams.find]
    type = "search"
    upstream = "docs"
    strategy = "s"
    listing = { upstream = "files", select = "files[].path" }
    [[upstreams.find.documents]]
    path = "{name}/{language}.md"
    each = { language = ["en", "zh"] }
    fields = { url = "/{name}" }
    [tools.t]
    description = "d"
    strategy = "s"
    input.properties.query = { type = "string" }
    [tools.t.fetch]
    upstream = "find"
    path = ""
    version = "1"
    query = { q = "{query}", language = "en", url = "" }
"""


def test_a_search_that_is_right(folder: Folder) -> None:
    """Has neither faults nor contradictions, and what it reads from is read by somebody."""
    assert folder.warnings(PROFILE) == []


def test_settings_that_work_against_each_other(folder: Folder) -> None:
    """Who waits longer than an index may take, and a strategy under which everybody waits for every rebuild."""
    warned = folder.warnings(
        PROFILE.replace('type = "search"', 'type = "search"\n    patience = "5m"').replace(
            ', stale_while_revalidate = "1m"', ""
        )
    )
    assert [each.partition("upstreams.")[2] for each in warned] == [
        "find.patience: warning: a call may wait 5m for an index, which is given up after 5m",
        "find.strategy: warning: whenever the index is stale, a call waits until every document has been looked at "
        "again",
    ]


@pytest.mark.parametrize(
    ("old", "new", "key", "fault"),
    [
        (
            'upstream = "docs"',
            'upstream = "dosc"',
            "upstreams.find.upstream",
            'expected one of [upstreams]: docs, files or find, found "dosc"',
        ),
        (
            'upstream = "docs"',
            'upstream = "find"',
            "upstreams.find.upstream",
            'expected an upstream that has documents, not a search or an MCP server, found "find"',
        ),
        (
            'upstream = "files"',
            'upstream = "find"',
            "upstreams.find.listing.upstream",
            'expected an upstream that has documents, not a search or an MCP server, found "find"',
        ),
        (
            'upstream = "files"',
            'upstream = "file"',
            "upstreams.find.listing.upstream",
            'expected one of [upstreams]: docs, files or find, found "file"',
        ),
        (
            'strategy = "s"',
            'strategy = "t"',
            "upstreams.find.strategy",
            'expected one of [strategies]: s, found "t"',
        ),
        (
            "{ language = [",
            "{ languge = [",
            "upstreams.find.documents[0].each.languge",
            'expected a field of path: language or name, found "languge"',
        ),
        (
            '"/{name}"',
            '"/{nam}"',
            "upstreams.find.documents[0].fields.url",
            "expected a field of path: language or name, found {nam}",
        ),
        (
            "fields = { url =",
            "fields = { limit =",
            "upstreams.find.documents[0].fields.limit",
            'expected another name than limit, which is a parameter of every search, found "limit"',
        ),
        (
            "{name}/",
            "**/{name}/**/",
            "upstreams.find.documents[0].path",
            'expected a path with at most one "**", as a whole segment, found "**/{name}/**/{language}.md"',
        ),
        (
            'listing = { upstream = "files", select = "files[].path" }',
            "",
            "upstreams.find.documents[0].path",
            "expected values for every field in each, or the key listing: nothing says which documents there are, "
            'found "{name}/{language}.md"',
        ),
        (
            'path = ""',
            'path = "x"',
            "tools.t.fetch.path",
            'expected path = "": what is searched for is said in query, found "x"',
        ),
        (
            'path = ""',
            'path = ""\n    headers = { a = "b" }',
            "tools.t.fetch.headers",
            "expected no headers: what is searched for is said in query, found a table",
        ),
        (
            'q = "{query}", ',
            "",
            "tools.t.fetch.query",
            "expected the key q, which is what is searched for, found none",
        ),
        (
            ', url = "" }',
            ', urk = "" }',
            "tools.t.fetch.query.urk",
            'expected one of q, limit, offset, or a field of the documents: language, name or url, found "urk"',
        ),
        (
            'version = "1"',
            "",
            "tools.t.fetch.version",
            "expected the key version: docs has documents of releases only, found none",
        ),
        (
            'upstream = "docs"',
            'upstream = "files"',
            "tools.t.fetch.version",
            'expected no version: files lists no releases, found "1"',
        ),
    ],
)
def test_a_search_that_is_wrong(folder: Folder, old: str, new: str, key: str, fault: str) -> None:
    """Every name leads somewhere, every field is one, and a fetch asks for what a search has."""
    found = [each.partition(": ")[2] for each in folder.lines(PROFILE.replace(old, new, 1))]
    assert f"{key}: {fault}" in found
