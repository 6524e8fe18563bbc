"""Names that a profile uses and nowhere declares: faults that no section can see alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

from gateway.profile.addresses import clashes
from gateway.profile.alert_faults import alert_faults
from gateway.profile.budget import budget_findings
from gateway.profile.client_faults import client_faults
from gateway.profile.faults import Finding, did_you_mean, shown
from gateway.profile.federated import federation_faults
from gateway.profile.fetch import Fetch
from gateway.profile.fetch_faults import fetch_faults
from gateway.profile.known import VERSION, argument_faults, expression_faults, template_faults, unknown
from gateway.profile.offer_faults import offer_faults
from gateway.profile.positions import KeyPath
from gateway.profile.profile import Profile
from gateway.profile.searches import search_faults, search_fetch_faults
from gateway.profile.templates import fields
from gateway.profile.tools import Tool
from gateway.profile.upstreams import Upstream
from gateway.profile.upstreams.http import HttpUpstream
from gateway.profile.upstreams.search import SearchUpstream

_OWN_TAGS = frozenset({"tool", "upstream", "strategy", "floating"})
"""Prefixes of the tags that every entry has of itself."""


@dataclass(frozen=True, slots=True)
class Declared:
    """The names that a profile declares, also those whose own tables are faulty."""

    strategies: frozenset[str]
    upstreams: frozenset[str]
    tools: frozenset[str]

    @classmethod
    def of(cls, table: dict[str, Any]) -> Declared:
        """What the unchecked profile `table` declares."""

        def keys(name: str) -> frozenset[str]:
            section = table.get(name)
            return frozenset(section) if isinstance(section, dict) else frozenset()

        return cls(keys("strategies"), keys("upstreams"), keys("tools"))


def broken_references(profile: Profile, declared: Declared) -> tuple[Finding, ...]:
    """Every name in `profile` that leads nowhere, and every address that two servers claim."""
    findings: list[Finding] = []
    for name, tool in profile.tools.items():
        findings += _tool(("tools", name), tool, profile, declared)
    for name, upstream in profile.upstreams.items():
        findings += _upstream(("upstreams", name), upstream)
        if isinstance(upstream, SearchUpstream):
            findings += _search(("upstreams", name), upstream, profile, declared)
    findings += client_faults(profile)
    findings += alert_faults(profile)
    findings += offer_faults(profile, declared.tools)
    findings += federation_faults(profile, declared.strategies)
    findings += clashes(profile.server, profile.admin)
    return tuple(findings)


def _tool(path: KeyPath, tool: Tool, profile: Profile, declared: Declared) -> Iterator[Finding]:
    declared_arguments = tool.arguments
    arguments = declared_arguments | tool.derive.keys()
    yield from unknown((*path, "strategy"), tool.strategy, declared.strategies, "strategies")
    for at, fetch in fetches(path, tool):
        yield from unknown((*at, "upstream"), fetch.upstream, declared.upstreams, "upstreams")
        upstream = profile.upstreams.get(fetch.upstream)
        yield from fetch_faults(at, fetch, arguments, upstream)
        if isinstance(upstream, SearchUpstream):
            yield from search_fetch_faults(at, fetch, upstream, profile)
    for index, tag in enumerate(tool.tags):
        yield from template_faults((*path, "tags", index), tag, arguments | VERSION)
        prefix = tag.partition(":")[0]
        if ":" in tag and prefix in _OWN_TAGS:
            yield Finding((*path, "tags", index), f"another prefix than {prefix}:, which the gateway gives itself")
    for index, tag in enumerate(tool.invalidates):
        yield from template_faults((*path, "invalidates", index), tag, arguments)
    for argument, expression in tool.normalize.items():
        yield from argument_faults((*path, "normalize", argument), argument, declared_arguments, at_key=True)
        yield from expression_faults((*path, "normalize", argument), expression, declared_arguments)
    for name, expression in tool.derive.items():
        if name in declared_arguments | VERSION:
            yield Finding((*path, "derive", name), "a name that no argument has", shown(name), at="key")
        yield from expression_faults((*path, "derive", name), expression, declared_arguments)
    required = tool.input.get("required", [])
    for index, argument in enumerate(required if isinstance(required, list) else []):
        yield from argument_faults((*path, "input", "required", index), argument, declared_arguments)
    yield from _defaults((*path, "input", "properties"), tool)
    yield from _result((*path, "result"), tool, arguments)
    yield from budget_findings(path, tool)


def _result(path: KeyPath, tool: Tool, arguments: frozenset[str]) -> Iterator[Finding]:
    result = tool.result
    suggested = frozenset({"nearest"}) if result.nearest is not None else frozenset()
    if result.missing is not None:
        yield from template_faults((*path, "missing"), result.missing, arguments | VERSION | suggested)
    if result.nearest is not None:
        yield from argument_faults((*path, "nearest", "to"), result.nearest.to, arguments)
    yield from expression_faults((*path, "select"), result.select, arguments)


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
    yield from unknown((*path, "upstream"), search.upstream, declared.upstreams, "upstreams")
    yield from unknown((*path, "strategy"), search.strategy, declared.strategies, "strategies")
    if search.listing is not None and search.listing.upstream is not None:
        at = (*path, "listing", "upstream")
        yield from unknown(at, search.listing.upstream, declared.upstreams, "upstreams")
    yield from search_faults(path, search, profile)


def _upstream(path: KeyPath, upstream: Upstream) -> Iterator[Finding]:
    if isinstance(upstream, HttpUpstream):
        if upstream.watch is not None and upstream.versions is None:
            yield Finding(
                (*path, "watch"), "the key versions beside watch, which says where releases are listed", "none"
            )
        for field in sorted(fields(upstream.base_url) - VERSION):
            yield Finding((*path, "base_url"), "no field but {version}", f"{{{field}}}", did_you_mean(field, VERSION))


def fetches(path: KeyPath, tool: Tool) -> Iterator[tuple[KeyPath, Fetch]]:
    """Every fetch of the tool at `path`, with its own key path."""
    if tool.fetch is not None:
        yield (*path, "fetch"), tool.fetch
    for name, fetch in tool.fetches.items():
        yield (*path, "fetches", name), fetch
    if tool.result.nearest is not None and tool.result.nearest.fetch is not None:
        yield (*path, "result", "nearest", "fetch"), tool.result.nearest.fetch
