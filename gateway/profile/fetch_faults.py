"""Fetches: what their templates hold, and what the upstream that they ask can be asked."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.profile.faults import Finding, shown
from gateway.profile.fetch import WITH_CONTENT, Fetch, texts
from gateway.profile.known import VERSION, expression_faults, template_faults
from gateway.profile.positions import KeyPath
from gateway.profile.templates import fields
from gateway.profile.upstreams import Upstream
from gateway.profile.upstreams.batch import Batch
from gateway.profile.upstreams.files import FilesUpstream
from gateway.profile.upstreams.http import HttpUpstream
from gateway.profile.upstreams.mcp import McpUpstream
from gateway.profile.upstreams.npm import NpmUpstream


def fetch_faults(
    path: KeyPath, fetch: Fetch, arguments: frozenset[str], upstream: Upstream | None
) -> Iterator[Finding]:
    """What is wrong with a fetch of `upstream`; `arguments` are the values that its templates may hold."""
    yield from template_faults((*path, "path"), fetch.path, arguments | VERSION)
    if fetch.else_path is not None:
        yield from template_faults((*path, "else_path"), fetch.else_path, arguments | VERSION)
    if fetch.version is not None:
        yield from template_faults((*path, "version"), fetch.version, arguments)
    if fetch.when is not None:
        yield from expression_faults((*path, "when"), fetch.when, arguments)
    for key in ("query", "headers", "form"):
        for name, value in getattr(fetch, key).items():
            yield from template_faults((*path, key, name), value, arguments)
    for text in dict.fromkeys(texts(fetch.body)):
        yield from template_faults((*path, "body"), text, arguments)
    if fetch.batch_key is not None:
        yield from template_faults((*path, "batch_key"), fetch.batch_key, arguments)
    if fetch.releases:
        yield from _list_of_releases(path, fetch, upstream)
        return
    yield from _release(path, fetch, arguments, upstream)
    match upstream:
        case HttpUpstream(batch=None) if fetch.batch_key is not None:
            expected = f"no batch_key, or upstreams.{fetch.upstream}.batch, which says how requests join"
            yield Finding((*path, "batch_key"), expected)
        case HttpUpstream(batch=Batch() as batch) if fetch.batch_key is not None:
            yield from _in_a_batch(path, fetch, batch)
        case McpUpstream():
            what = "an upstream of documents; the tools of an MCP server are federated as they are, under its prefix"
            yield Finding((*path, "upstream"), what)
    known, by = _NAMED.get(upstream.type if upstream is not None else "", (None, ""))
    for key in sorted(fetch.said - known if known is not None else ()):
        yield Finding((*path, key), f"no {key}: {by}")


_ALWAYS = frozenset({"upstream", "when", "optional", "else_path"})
_NAMED: dict[str, tuple[frozenset[str], str]] = {
    "npm": (_ALWAYS | {"path", "version"}, "a file of a package is named by path and version alone"),
    "files": (_ALWAYS | {"path"}, "a file of a folder is named by its path alone"),
    "search": (
        _ALWAYS - {"else_path"} | {"path", "version", "query", "headers"},
        "a search is asked by its query and version alone",
    ),
}
"""What a fetch may say of upstreams that are not asked by HTTP, where that is a closed list."""


def _in_a_batch(path: KeyPath, fetch: Fetch, batch: Batch) -> Iterator[Finding]:
    """Requests whose keys could not be put where the upstream wants them."""
    if batch.place == "query":
        return
    if fetch.method not in WITH_CONTENT:
        expected = f'method = "POST", "PUT" or "PATCH": the keys of upstreams.{fetch.upstream}.batch go into the body'
        yield Finding((*path, "method"), expected, shown(fetch.method))
    if fetch.form or not isinstance(fetch.body, dict | None):
        yield Finding((*path, "form" if fetch.form else "body"), "a table in body, or none: the keys go into it")


def _list_of_releases(path: KeyPath, fetch: Fetch, upstream: Upstream | None) -> Iterator[Finding]:
    """A list of releases that nobody has, or what it can't be asked for."""
    match upstream:
        case HttpUpstream(versions=None):
            what = f"no releases, or upstreams.{fetch.upstream}.versions, which says where they are listed"
            yield Finding((*path, "releases"), what)
        case FilesUpstream() | McpUpstream():
            yield Finding((*path, "releases"), f"no releases: {fetch.upstream} has none")
    for key in sorted(fetch.said - {"upstream", "releases", "when"}):
        yield Finding((*path, key), f"no {key} beside releases, which are all that there are")


def _release(path: KeyPath, fetch: Fetch, arguments: frozenset[str], upstream: Upstream | None) -> Iterator[Finding]:
    """A release that is needed and not asked for, or asked for where nobody knows which there are."""
    at = (*path, "version")
    match upstream:
        case NpmUpstream() if fetch.version is None:
            yield Finding(at, "the key version: a file of a package is one of a release", "none")
        case HttpUpstream() if fetch.version is None:
            needed = fields(upstream.base_url) | (fields(fetch.path) - arguments)
            if "version" in needed:
                place = "base_url" if "version" in fields(upstream.base_url) else "path"
                yield Finding(at, f"the key version, for the {{version}} of {place}", "none")
        case HttpUpstream(versions=None):
            yield Finding(
                at, f"no version, or upstreams.{fetch.upstream}.versions, which says where releases are listed"
            )
