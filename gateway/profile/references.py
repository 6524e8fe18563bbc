"""Names that a profile uses and nowhere declares: faults that no section can see alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import jmespath
import jsonschema_rs

from gateway.profile.addresses import clashes
from gateway.profile.budget import budget_findings
from gateway.profile.faults import Finding, did_you_mean, listed, shown
from gateway.profile.federated import federation_faults
from gateway.profile.fetch import WITH_CONTENT, Fetch, texts
from gateway.profile.positions import KeyPath
from gateway.profile.profile import Profile
from gateway.profile.searches import search_faults, search_fetch_faults
from gateway.profile.templates import fields
from gateway.profile.tools import Tool
from gateway.profile.upstreams import Upstream
from gateway.profile.upstreams.batch import Batch
from gateway.profile.upstreams.http import HttpUpstream
from gateway.profile.upstreams.mcp import McpUpstream
from gateway.profile.upstreams.npm import NpmUpstream
from gateway.profile.upstreams.search import SearchUpstream

_VERSION = frozenset({"version"})
_OWN_TAGS = frozenset({"tool", "upstream", "strategy", "floating"})
"""Prefixes of the tags that every entry has of itself."""


@dataclass(frozen=True, slots=True)
class Declared:
    """The names that a profile declares, also those whose own tables are faulty."""

    strategies: frozenset[str]
    upstreams: frozenset[str]

    @classmethod
    def of(cls, table: dict[str, Any]) -> Declared:
        """What the unchecked profile `table` declares."""

        def keys(name: str) -> frozenset[str]:
            section = table.get(name)
            return frozenset(section) if isinstance(section, dict) else frozenset()

        return cls(keys("strategies"), keys("upstreams"))


def broken_references(profile: Profile, declared: Declared) -> tuple[Finding, ...]:
    """Every name in `profile` that leads nowhere, and every address that two servers claim."""
    findings: list[Finding] = []
    for name, tool in profile.tools.items():
        findings += _tool(("tools", name), tool, profile, declared)
    for name, upstream in profile.upstreams.items():
        findings += _upstream(("upstreams", name), upstream)
        if isinstance(upstream, SearchUpstream):
            findings += _search(("upstreams", name), upstream, profile, declared)
    findings += federation_faults(profile, declared.strategies)
    findings += clashes(profile.server, profile.admin)
    return tuple(findings)


def _tool(path: KeyPath, tool: Tool, profile: Profile, declared: Declared) -> Iterator[Finding]:
    arguments = properties(tool)
    yield from _unknown((*path, "strategy"), tool.strategy, declared.strategies, "strategies")
    for at, fetch in fetches(path, tool):
        yield from _unknown((*at, "upstream"), fetch.upstream, declared.upstreams, "upstreams")
        upstream = profile.upstreams.get(fetch.upstream)
        yield from _fetch(at, fetch, arguments, upstream)
        if isinstance(upstream, SearchUpstream):
            yield from search_fetch_faults(at, fetch, upstream, profile)
    for index, tag in enumerate(tool.tags):
        yield from _template((*path, "tags", index), tag, arguments | _VERSION)
        prefix = tag.partition(":")[0]
        if ":" in tag and prefix in _OWN_TAGS:
            yield Finding((*path, "tags", index), f"another prefix than {prefix}:, which the gateway gives itself")
    for index, tag in enumerate(tool.invalidates):
        yield from _template((*path, "invalidates", index), tag, arguments)
    for argument in tool.normalize:
        yield from _argument((*path, "normalize", argument), argument, arguments, at_key=True)
    required = tool.input.get("required", [])
    for index, argument in enumerate(required if isinstance(required, list) else []):
        yield from _argument((*path, "input", "required", index), argument, arguments)
    yield from _defaults((*path, "input", "properties"), tool)
    yield from _result((*path, "result"), tool, arguments)
    yield from budget_findings(path, tool)


def _fetch(path: KeyPath, fetch: Fetch, arguments: frozenset[str], upstream: Upstream | None) -> Iterator[Finding]:
    yield from _template((*path, "path"), fetch.path, arguments | _VERSION)
    if fetch.version is not None:
        yield from _template((*path, "version"), fetch.version, arguments)
    for key in ("query", "headers", "form"):
        for name, value in getattr(fetch, key).items():
            yield from _template((*path, key, name), value, arguments)
    for text in dict.fromkeys(texts(fetch.body)):
        yield from _template((*path, "body"), text, arguments)
    if fetch.batch_key is not None:
        yield from _template((*path, "batch_key"), fetch.batch_key, arguments)
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


_NAMED: dict[str, tuple[frozenset[str], str]] = {
    "npm": (frozenset({"upstream", "path", "version"}), "a file of a package is named by path and version alone"),
    "files": (frozenset({"upstream", "path"}), "a file of a folder is named by its path alone"),
    "search": (
        frozenset({"upstream", "path", "version", "query", "headers"}),
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


def _result(path: KeyPath, tool: Tool, arguments: frozenset[str]) -> Iterator[Finding]:
    result = tool.result
    suggested = frozenset({"nearest"}) if result.nearest is not None else frozenset()
    if result.missing is not None:
        yield from _template((*path, "missing"), result.missing, arguments | _VERSION | suggested)
    if result.nearest is not None:
        yield from _argument((*path, "nearest", "to"), result.nearest.to, arguments)
    for argument in _asked(jmespath.compile(result.select).parsed):
        if argument not in arguments | _VERSION:
            found = f"arg('{argument}')"
            yield Finding((*path, "select"), _known(arguments), found, did_you_mean(argument, arguments))


def _defaults(path: KeyPath, tool: Tool) -> Iterator[Finding]:
    """Defaults that the property's own schema refuses: a call without the argument could never work."""
    declared = tool.input.get("properties", {})
    for name, schema in declared.items() if isinstance(declared, dict) else ():
        if not isinstance(schema, dict) or "default" not in schema or "$ref" in schema:
            continue
        try:
            jsonschema_rs.validator_for(schema, offline=True).validate(schema["default"])
        except jsonschema_rs.ValidationError as error:
            yield Finding((*path, name, "default"), "a value that the property allows", detail=error.message)
        except ValueError:  # a reference into the rest of the tool's schema: it can't be judged alone
            continue


def _search(path: KeyPath, search: SearchUpstream, profile: Profile, declared: Declared) -> Iterator[Finding]:
    yield from _unknown((*path, "upstream"), search.upstream, declared.upstreams, "upstreams")
    yield from _unknown((*path, "strategy"), search.strategy, declared.strategies, "strategies")
    if search.listing is not None and search.listing.upstream is not None:
        at = (*path, "listing", "upstream")
        yield from _unknown(at, search.listing.upstream, declared.upstreams, "upstreams")
    yield from search_faults(path, search, profile)


def _upstream(path: KeyPath, upstream: Upstream) -> Iterator[Finding]:
    if isinstance(upstream, HttpUpstream):
        if upstream.watch is not None and upstream.versions is None:
            yield Finding(
                (*path, "watch"), "the key versions beside watch, which says where releases are listed", "none"
            )
        for field in sorted(fields(upstream.base_url) - _VERSION):
            yield Finding((*path, "base_url"), "no field but {version}", f"{{{field}}}", did_you_mean(field, _VERSION))


def properties(tool: Tool) -> frozenset[str]:
    """The arguments that a tool declares."""
    declared = tool.input.get("properties", {})
    return frozenset(declared) if isinstance(declared, dict) else frozenset()


def fetches(path: KeyPath, tool: Tool) -> Iterator[tuple[KeyPath, Fetch]]:
    """Every fetch of the tool at `path`, with its own key path."""
    if tool.fetch is not None:
        yield (*path, "fetch"), tool.fetch
    for name, fetch in tool.fetches.items():
        yield (*path, "fetches", name), fetch
    if tool.result.nearest is not None and tool.result.nearest.fetch is not None:
        yield (*path, "result", "nearest", "fetch"), tool.result.nearest.fetch


def _unknown(path: KeyPath, name: str, known: Collection[str], table: str) -> Iterator[Finding]:
    if name not in known:
        what = f"one of [{table}]: {listed(sorted(known))}" if known else f"a name of [{table}], which is empty"
        near = did_you_mean(name, known)
        yield Finding(path, what, suggestion=shown(near) if near else None)


def _template(path: KeyPath, template: str, known: frozenset[str]) -> Iterator[Finding]:
    for field in sorted(fields(template) - known):
        near = did_you_mean(field, known)
        yield Finding(path, _known(known), f"{{{field}}}", f"{{{near}}}" if near else None)


def _argument(path: KeyPath, name: str, arguments: frozenset[str], *, at_key: bool = False) -> Iterator[Finding]:
    if name not in arguments:
        near = did_you_mean(name, arguments)
        yield Finding(path, _known(arguments), shown(name), near and shown(near), at="key" if at_key else "value")


def _known(arguments: Iterable[str]) -> str:
    names = sorted(arguments)
    return (
        f"one of the declared arguments: {listed(names)}" if names else "a declared argument, of which there are none"
    )


def _asked(expression: Any) -> Iterator[str]:
    """The names in every `arg('name')` of a parsed JMESPath expression."""
    children = expression.get("children", ()) if isinstance(expression, dict) else ()
    if (
        isinstance(expression, dict)
        and expression.get("type") == "function_expression"
        and expression["value"] == "arg"
    ):
        yield from (child["value"] for child in children if isinstance(child.get("value"), str))
        return
    for child in children:
        yield from _asked(child)
