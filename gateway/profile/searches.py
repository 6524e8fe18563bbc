"""Searches: what their names lead to, and what a fetch of one may ask for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.profile.faults import Contradiction, Finding, did_you_mean, listed, shown
from gateway.profile.fetch import Fetch
from gateway.profile.positions import KeyPath
from gateway.profile.profile import Profile
from gateway.profile.templates import fields
from gateway.profile.units import format_duration
from gateway.profile.upstreams import Upstream
from gateway.profile.upstreams.http import HttpUpstream
from gateway.profile.upstreams.mcp import McpUpstream
from gateway.profile.upstreams.npm import NpmUpstream
from gateway.profile.upstreams.search import PARAMETERS, SearchDocuments, SearchUpstream


def search_faults(path: KeyPath, search: SearchUpstream, profile: Profile) -> Iterator[Finding]:
    """What is wrong with a search whose `upstream` and `strategy` are declared."""
    named: dict[KeyPath, str | None] = {(*path, "upstream"): search.upstream}
    if search.listing is not None:
        named[*path, "listing", "upstream"] = search.listing.upstream
    for key, name in named.items():
        if name is not None and isinstance(profile.upstreams.get(name), SearchUpstream | McpUpstream):
            yield Finding(key, "an upstream that has documents, not a search or an MCP server", shown(name))
    source = profile.upstreams.get(search.upstream)
    for index, rule in enumerate(search.documents):
        yield from _rule((*path, "documents", index), rule, search, source)


def search_fetch_faults(path: KeyPath, fetch: Fetch, search: SearchUpstream, profile: Profile) -> Iterator[Finding]:
    """What is wrong with a fetch of a search."""
    if fetch.path:
        yield Finding((*path, "path"), 'path = "": what is searched for is said in query')
    if fetch.headers:
        yield Finding((*path, "headers"), "no headers: what is searched for is said in query")
    if "q" not in fetch.query:
        yield Finding((*path, "query"), "the key q, which is what is searched for", "none")
    known = PARAMETERS | search_fields(search)
    for name in sorted(fetch.query.keys() - known):
        near = did_you_mean(name, known)
        what = f"one of q, limit, offset, or a field of the documents: {listed(sorted(known - PARAMETERS))}"
        yield Finding((*path, "query", name), what, shown(name), near and shown(near), at="key")
    source = profile.upstreams.get(search.upstream)
    if fetch.version is None and (isinstance(source, NpmUpstream) or _is_versioned(source)):
        yield Finding((*path, "version"), f"the key version: {search.upstream} has documents of releases only", "none")
    if fetch.version is not None and not isinstance(source, NpmUpstream | None) and not _lists_releases(source):
        yield Finding((*path, "version"), f"no version: {search.upstream} lists no releases")


def search_contradictions(path: KeyPath, search: SearchUpstream, profile: Profile) -> Iterator[Contradiction]:
    """Settings of a search that work against each other."""
    if search.patience >= search.build_timeout:
        yield Contradiction(
            ((*path, "patience"), (*path, "build_timeout")),
            f"a call may wait {format_duration(search.patience)} for an index, "
            f"which is given up after {format_duration(search.build_timeout)}",
            "shorten patience, or allow more time for building",
        )
    strategy = profile.strategies.get(search.strategy)
    if strategy is not None and not strategy.stale_while_revalidate:
        yield Contradiction(
            ((*path, "strategy"), ("strategies", search.strategy, "stale_while_revalidate")),
            "whenever the index is stale, a call waits until every document has been looked at again",
            f"give strategies.{search.strategy} a stale_while_revalidate, so that the old index answers meanwhile",
        )


def search_fields(search: SearchUpstream) -> frozenset[str]:
    """The fields that a hit of a search can have."""
    named = (name for rule in search.documents for name in (*fields(rule.path), *rule.each, *rule.fields))
    return frozenset(named) - PARAMETERS


def _rule(path: KeyPath, rule: SearchDocuments, search: SearchUpstream, source: Upstream | None) -> Iterator[Finding]:
    named = fields(rule.path)
    for name in sorted(rule.each.keys() - named):
        near = did_you_mean(name, named)
        what = f"a field of path: {listed(sorted(named))}" if named else "no each: path has no fields"
        yield Finding((*path, "each", name), what, shown(name), near and shown(near), at="key")
    for name, template in rule.fields.items():
        for field in sorted(fields(template) - named):
            near = did_you_mean(field, named)
            what = f"a field of path: {listed(sorted(named))}" if named else "no field: path has none"
            yield Finding((*path, "fields", name), what, f"{{{field}}}", f"{{{near}}}" if near else None)
    for name in sorted({*named, *rule.fields} & PARAMETERS):
        key = (*path, "fields", name) if name in rule.fields else (*path, "path")
        yield Finding(key, f"another name than {name}, which is a parameter of every search", shown(name))
    unlisted = named - rule.each.keys() or "*" in rule.path
    if unlisted and search.listing is None and isinstance(source, HttpUpstream):
        what = "values for every field in each, or the key listing: nothing says which documents there are"
        yield Finding((*path, "path"), what, shown(rule.path))


def _is_versioned(source: Upstream | None) -> bool:
    return isinstance(source, HttpUpstream) and "version" in fields(source.base_url)


def _lists_releases(source: Upstream | None) -> bool:
    return isinstance(source, HttpUpstream) and source.versions is not None


def searched(upstreams: Mapping[str, Upstream]) -> frozenset[str]:
    """The names of the upstreams that a search reads from."""
    found: set[str] = set()
    for upstream in upstreams.values():
        if isinstance(upstream, SearchUpstream):
            found.add(upstream.upstream)
            found |= {upstream.listing.upstream} if upstream.listing and upstream.listing.upstream else set()
    return frozenset(found)
