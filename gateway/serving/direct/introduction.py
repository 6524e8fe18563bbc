"""What a server says of itself and of what its profile declares, as results of MCP whose members are in order.

The SDK would say the same, once it is imported. What MCP servers offer is for it: a revision may not be able to say it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.profile.profile import Profile
from gateway.profile.upstreams.mcp import McpUpstream
from gateway.serving.direct.clients import are_capabilities, is_client_info
from gateway.serving.direct.wire import Wire
from gateway.serving.protocol import HANDSHAKE_VERSIONS, MODERN_VERSION

LISTS = {
    "tools/list": ("tools", "tools"),
    "resources/list": ("resources", "resources"),
    "resources/templates/list": ("templates", "resourceTemplates"),
    "prompts/list": ("prompts", "prompts"),
}
"""By method: the kind as the catalogue calls it, and the key of the result."""

_INITIALIZE = frozenset({"protocolVersion", "capabilities", "clientInfo"})
_SCHEMAS = ("inputSchema", "outputSchema")
_FIRST = ("$schema", "properties", "required", "type")
_FIRST_OF_MODERN = {"inputSchema": ("$schema", "type"), "outputSchema": ("$schema",)}
"""Members of a schema in the SDK's order; what it has beside these follows as it is."""


def version_of(params: Mapping[str, Any] | None) -> str | None:
    """The revision that is spoken after an `initialize` with these; None where they are not as usual."""
    if params is None or set(params) != _INITIALIZE:
        return None
    version = params["protocolVersion"]
    if not (isinstance(version, str) and are_capabilities(params["capabilities"])):
        return None
    if not is_client_info(params["clientInfo"]):
        return None
    return version if version in HANDSHAKE_VERSIONS else HANDSHAKE_VERSIONS[-1]


class Introduction:
    """Introduces the server of a profile. It is `told` of changes who is remembered: over stdio, or with sessions."""

    def __init__(self, profile: Profile, wire: Wire, *, told: bool) -> None:
        self._section = profile.server
        self._wire = wire
        self._told = _capabilities(profile, told=told)
        self._modern = _capabilities(profile, told=True)

    def initialized(self, version: str) -> dict[str, Any]:
        """The result of initialize."""
        said = {
            "capabilities": self._told,
            "instructions": self._section.instructions,
            "protocolVersion": version,
            "serverInfo": self._wire.about,
        }
        return {key: value for key, value in said.items() if value}

    def discovered(self) -> dict[str, Any]:
        """The result of server/discover."""
        said = {
            "cacheScope": "private",
            "capabilities": self._modern,
            "instructions": self._section.instructions,
            "resultType": "complete",
            "supportedVersions": [MODERN_VERSION],
        }
        return {**{key: value for key, value in said.items() if value}, "ttlMs": 0}

    def listed(self, method: str, definitions: Sequence[Mapping[str, Any]], *, modern: bool) -> dict[str, Any]:
        """The result of a list of what the profile declares, whole and for everybody."""
        said: dict[str, Any] = {LISTS[method][1]: [_ordered(each, modern=modern) for each in definitions]}
        if modern:
            holds = int(self._section.list_ttl * 1000)
            said |= {"cacheScope": "public", "resultType": "complete", "ttlMs": holds}
        return dict(sorted(said.items()))


def _capabilities(profile: Profile, *, told: bool) -> dict[str, Any]:
    servers = [each for each in profile.upstreams.values() if isinstance(each, McpUpstream)]
    kinds = {kind for server in servers for kind in server.federate}
    completed = [resource.complete for resource in profile.resources.values()]
    arguments = [each for prompt in profile.prompts.values() for each in prompt.arguments.values()]
    capabilities: dict[str, Any] = {}
    if servers or any(completed) or any(each.complete is not None for each in arguments):
        capabilities["completions"] = {}
    if servers:
        capabilities["logging"] = {}
    if profile.prompts or "prompts" in kinds:
        capabilities["prompts"] = {"listChanged": told}
    if profile.resources or "resources" in kinds:
        capabilities["resources"] = {"listChanged": told, **({"subscribe": told} if profile.resources else {})}
    return {**capabilities, "tools": {"listChanged": told}}


def _ordered(definition: Mapping[str, Any], *, modern: bool) -> dict[str, Any]:
    ordered = dict(sorted(definition.items()))
    if "annotations" in ordered:
        ordered["annotations"] = dict(sorted(ordered["annotations"].items()))
    if "arguments" in ordered:
        ordered["arguments"] = [dict(sorted(each.items())) for each in ordered["arguments"]]
    for name in _SCHEMAS:
        if name in ordered:
            first = _FIRST_OF_MODERN[name] if modern else _FIRST
            schema = ordered[name]
            ordered[name] = {**{key: schema[key] for key in first if key in schema}, **schema}
    return ordered
