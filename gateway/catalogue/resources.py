"""Declared resources: answers of tools that have a URI, and templates of such URIs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import orjson

from gateway.catalogue.calls import Called, ToolCalls
from gateway.catalogue.completion import Completion, completed
from gateway.catalogue.content import JsonContent
from gateway.catalogue.jsontext import to_json
from gateway.catalogue.result import PROVENANCE, provenance
from gateway.catalogue.tool import Tool
from gateway.errors import UnknownResource
from gateway.pipeline.clock import Clock
from gateway.profile.budget import CURSOR
from gateway.profile.offers import Resource as ResourceSection
from gateway.profile.profile import Profile
from gateway.profile.templates import Field, fields, parse_template
from gateway.profile.tools import Tool as ToolSection
from gateway.profile.upstreams.search import SearchUpstream
from gateway.upstream.content import is_json
from gateway.upstream.model import JSON

_LONGEST = 4096
"""Characters of a URI; longer ones name nothing."""
_DAY = 86_400.0
"""Seconds beyond which clients do not keep what they read (MCP 2026-07-28, "Caching")."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A declared resource, and what its URI says."""

    resource: _Resource
    values: Mapping[str, str]


class _Resource:
    """What a `[resources.NAME]` does."""

    def __init__(
        self, name: str, section: ResourceSection, tools: Mapping[str, Tool], calls: ToolCalls, about: ToolSection
    ) -> None:
        self.name = name
        self.uri = section.uri
        self.tool = tools[section.tool]
        self.reads = section.tool
        self.completions = {
            field: Completion(f"resources.{name}.complete.{field}", each, tools, calls)
            for field, each in section.complete.items()
        }
        declared = about.input.get("properties", {})
        same = {field: f"{{{field}}}" for field in section.fields if field in declared}
        self._arguments = JsonContent({**same, **section.arguments})
        self._segments = tuple(_segment(part) for part in section.uri.split("/"))
        plain = about.result.format == "text" or about.result.text is not None
        self.mime_type = section.mime_type or ("text/plain" if plain else JSON)
        self.definition = _definition(name, section, self.mime_type)

    def values(self, uri: str) -> dict[str, str] | None:
        """What stands for each field of the URI; None where it is not one of this resource."""
        parts = uri.split("/")
        if len(parts) != len(self._segments):
            return None
        found = {}
        for part, segment in zip(parts, self._segments, strict=True):
            if isinstance(segment, Field) and part and not ("?" in part or "#" in part):
                found[segment.name] = unquote(part, errors="replace")
            elif part != segment:
                return None
        return found

    def arguments(self, values: Mapping[str, str]) -> Mapping[str, Any]:
        """The tool's arguments for a URI."""
        arguments: Mapping[str, Any] = self._arguments.value(values)
        return arguments

    def text(self, called: Called, arguments: Mapping[str, Any]) -> str:
        """The content: structured where it is JSON, else the answer's text, with the call that goes on with it."""
        result = orjson.loads(called.payload)
        if is_json(self.mime_type) and "structuredContent" in result:
            return orjson.dumps(result["structuredContent"]).decode()
        texts = [part["text"] for part in result["content"]]
        if called.following is None:
            return "\n\n".join(texts)
        # The note of a part speaks to who called the tool; a reader of the resource has not, and has no arguments.
        given = to_json({**arguments, CURSOR: called.following}).decode()
        return f"{texts[0]}\n\nThere is more: call {self.reads} with {given}."


class Resources:
    """The declared resources, by URI."""

    def __init__(self, profile: Profile, tools: Mapping[str, Tool], calls: ToolCalls, clock: Clock) -> None:
        self._calls = calls
        self._clock = clock
        every = [
            _Resource(name, section, tools, calls, profile.tools[section.tool])
            for name, section in profile.resources.items()
        ]
        self._one = {resource.uri: resource for resource in every if not fields(resource.uri)}
        self._many = [resource for resource in every if fields(resource.uri)]
        self.definitions = tuple(resource.definition for resource in self._one.values())
        """The resources, as `resources/list` shows them."""
        self.templates = tuple(resource.definition for resource in self._many)
        """The templates, as `resources/templates/list` shows them."""
        self.any = bool(every)
        """Whether there are any."""
        self.completes = any(resource.completions for resource in self._many)
        """Whether any field has values."""
        self._upstreams = {resource.name: _upstreams_of(profile.tools[resource.reads], profile) for resource in every}

    def has(self, uri: str) -> bool:
        """Whether the URI is one of a declared resource."""
        return self._find(uri) is not None

    def name_of(self, uri: str) -> str | None:
        """The name in the profile of the resource that has this URI; None where none is declared."""
        found = self._find(uri)
        return None if found is None else found.resource.name

    def depends(self, uri: str, upstreams: Collection[str]) -> bool:
        """Whether the resource is made of documents of one of these upstreams."""
        found = self._find(uri)
        return found is not None and not self._upstreams[found.resource.name].isdisjoint(upstreams)

    async def read(self, uri: str, caller: str) -> dict[str, Any]:
        """The contents as a ReadResourceResult: for how long they hold, for whom, and where they came from.

        Raises UnknownResource, ToolError for one that its tool can't make, and UpstreamError.
        """
        found = self._find(uri)
        if found is None:
            raise UnknownResource(uri)
        resource = found.resource
        arguments = resource.arguments(found.values)
        called = await self._calls.ask(resource.tool, arguments, caller=caller)
        now = self._clock()
        remaining = min(max(0.0, called.answer.entry.fresh_until - now), _DAY)
        return {
            "contents": [{"uri": uri, "mimeType": resource.mime_type, "text": resource.text(called, arguments)}],
            "ttlMs": int(remaining * 1000),
            "cacheScope": "private" if resource.tool.policy.private else "public",
            "_meta": {PROVENANCE: provenance(called.answer, now)},
        }

    async def complete(self, ref: Mapping[str, Any], rest: Mapping[str, Any], caller: str) -> dict[str, Any] | None:
        """What may stand for a field of the template that is listed so; None where it is none of the profile's."""
        resource = next((each for each in self._many if each.uri == ref.get("uri")), None)
        return None if resource is None else await completed(resource.completions, rest, caller)

    def _find(self, uri: str) -> _Found | None:
        if uri in self._one:
            return _Found(self._one[uri], {})
        if len(uri) > _LONGEST:
            return None
        for resource in self._many:
            values = resource.values(uri)
            if values is not None:
                return _Found(resource, values)
        return None


def _segment(text: str) -> str | Field:
    """A segment of a URI: a field, or what stands there as it is."""
    (part,) = parse_template(text)
    return part


def _definition(name: str, section: ResourceSection, mime_type: str) -> dict[str, Any]:
    definition: dict[str, Any] = {"uriTemplate" if section.fields else "uri": section.uri, "name": name}
    if section.title:
        definition["title"] = section.title
    if section.description:
        definition["description"] = section.description
    return {**definition, "mimeType": mime_type}


def _upstreams_of(tool: ToolSection, profile: Profile) -> frozenset[str]:
    """The upstreams that an answer is made of, also those that a search reads."""
    found = {fetch.upstream for fetch in tool.documents.values()}
    for name in tuple(found):
        upstream = profile.upstreams.get(name)
        if isinstance(upstream, SearchUpstream):
            found.add(upstream.upstream)
    return frozenset(found)
