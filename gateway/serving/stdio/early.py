"""What a client is told before the gateway is open: initialize, ping and tools/list, from the profile alone.

The bytes are those of the SDK, whose models put members into an order of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from gateway import __version__
from gateway.catalogue.definition import tool_definition
from gateway.profile.budget import budget_of
from gateway.profile.profile import Profile
from gateway.profile.upstreams.mcp import McpUpstream
from gateway.serving.direct.message import Message, id_bytes

HANDSHAKE_VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
"""The revisions that begin with initialize, oldest first: the SDK's, which takes long to import."""

_INITIALIZE = frozenset({"protocolVersion", "capabilities", "clientInfo"})
_CAPABILITIES = frozenset({"roots", "sampling", "elicitation", "experimental"})
_CLIENT = frozenset({"name", "title", "version"})
_TOOL = ("annotations", "description", "inputSchema", "name", "outputSchema", "title")
_HINTS = ("destructiveHint", "idempotentHint", "openWorldHint", "readOnlyHint")
_SCHEMA = ("$schema", "properties", "required", "type")
"""Members in the SDK's order; what a schema has beside these follows as it is."""


class Early:
    """Answers what a client of the handshake era asks first, if it asks as usual."""

    def __init__(self, profile: Profile) -> None:
        self.use(profile)

    def use(self, profile: Profile) -> None:
        """Answer for this profile from now on."""
        self._profile = profile
        self.longest = profile.server.max_body_size
        """Bytes of the longest message that there may be."""
        servers = [each for each in profile.upstreams.values() if isinstance(each, McpUpstream)]
        self._capabilities = _capabilities(profile, servers)
        # What servers offer is known when they have been asked.
        self._tools = None if servers else _tools(profile)

    def version_of(self, message: Message) -> str | None:
        """The revision that is spoken after this request; None where it is no usual initialize."""
        params = message.params
        if message.method != "initialize" or params is None or set(params) != _INITIALIZE:
            return None
        if not self._profile.server.front:
            return None
        version, capabilities, client = (params[key] for key in ("protocolVersion", "capabilities", "clientInfo"))
        usual = (
            isinstance(version, str)
            and isinstance(capabilities, dict)
            and _CAPABILITIES.issuperset(capabilities)
            and all(each == {} or (name == "roots" and _is_roots(each)) for name, each in capabilities.items())
            and isinstance(client, dict)
            and {"name", "version"} <= set(client) <= _CLIENT
            and all(isinstance(each, str) for each in client.values())
        )
        if not usual:
            return None
        return version if version in HANDSHAKE_VERSIONS else HANDSHAKE_VERSIONS[-1]

    def initialized(self, message: Message, version: str) -> bytes:
        """The answer to initialize."""
        section = self._profile.server
        about = {"name": section.name, "title": section.title, "version": __version__}
        result = {
            "capabilities": self._capabilities,
            "instructions": section.instructions,
            "protocolVersion": version,
            "serverInfo": {key: value for key, value in about.items() if value},
        }
        return _answer(message, orjson.dumps({key: value for key, value in result.items() if value}))

    def answer(self, message: Message) -> bytes | None:
        """The answer to ping or tools/list after the handshake; None for anything else."""
        params = message.params or {}
        token = params.get("_meta", {})
        plain = params in ({}, {"_meta": {}}) or (
            set(params) == {"_meta"} and isinstance(token, dict) and set(token) == {"progressToken"}
            and type(token["progressToken"]) in (int, str)
        )  # fmt: skip
        if not plain:
            return None
        if message.method == "ping":
            return _answer(message, b"{}")
        if message.method == "tools/list" and self._tools is not None:
            return _answer(message, self._tools)
        return None


def _is_roots(capability: object) -> bool:
    return capability == {"listChanged": True} or capability == {"listChanged": False}


def _answer(message: Message, result: bytes) -> bytes:
    id_ = id_bytes(message.id, ascii_only=False)
    return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (id_, result)


def _capabilities(profile: Profile, servers: list[McpUpstream]) -> dict[str, Any]:
    kinds = {kind for server in servers for kind in server.federate}
    completed = [resource.complete for resource in profile.resources.values()]
    arguments = [each for prompt in profile.prompts.values() for each in prompt.arguments.values()]
    capabilities: dict[str, Any] = {}
    if servers or any(completed) or any(each.complete is not None for each in arguments):
        capabilities["completions"] = {}
    if servers:
        capabilities["logging"] = {}
    if profile.prompts or "prompts" in kinds:
        capabilities["prompts"] = {"listChanged": True}
    if profile.resources or "resources" in kinds:
        capabilities["resources"] = {"listChanged": True, **({"subscribe": True} if profile.resources else {})}
    return {**capabilities, "tools": {"listChanged": True}}


def _tools(profile: Profile) -> bytes | None:
    """The result of tools/list; None where a definition may be one that the SDK leaves out."""
    definitions = [
        tool_definition(name, section, budget_of(section, profile.server.max_output))
        for name, section in profile.tools.items()
    ]
    if not all(_is_usual(each[key]) for each in definitions for key in ("inputSchema", "outputSchema") if key in each):
        return None
    return orjson.dumps({"tools": [_ordered(each) for each in definitions]})


def _is_usual(schema: Mapping[str, Any]) -> bool:
    properties, required = schema.get("properties", {}), schema.get("required", [])
    return (
        schema.get("type") == "object"
        and isinstance(schema.get("$schema", ""), str)
        and isinstance(properties, dict)
        and all(isinstance(each, dict | bool) for each in properties.values())
        and isinstance(required, list)
        and all(isinstance(each, str) for each in required)
    )


def _ordered(definition: Mapping[str, Any]) -> dict[str, Any]:
    tool = {key: definition[key] for key in _TOOL if key in definition}
    tool["annotations"] = {key: tool["annotations"][key] for key in _HINTS}
    for name in ("inputSchema", "outputSchema"):
        if name in tool:
            first = {key: tool[name][key] for key in _SCHEMA if key in tool[name]}
            tool[name] = {**first, **tool[name]}
    return tool
