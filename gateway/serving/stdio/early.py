"""What a client is told before the gateway is open: initialize, ping and tools/list, from the profile alone."""

from __future__ import annotations

from gateway.catalogue.definition import tool_definition
from gateway.profile.budget import budget_of
from gateway.profile.profile import Profile
from gateway.profile.upstreams.mcp import McpUpstream
from gateway.serving.direct.introduction import Introduction, version_of
from gateway.serving.direct.message import Message
from gateway.serving.direct.wire import Wire


class Early:
    """Answers what a client of the handshake era asks first, if it asks as usual."""

    def __init__(self, profile: Profile) -> None:
        self.use(profile)

    def use(self, profile: Profile) -> None:
        """Answer for this profile from now on."""
        self._front = profile.server.front
        self.longest = profile.server.max_body_size
        """Bytes of the longest message that there may be."""
        self._wire = Wire(profile.server, escaping=False)
        self._introduction = Introduction(profile, self._wire, told=True)
        definitions = [
            tool_definition(name, section, budget_of(section, profile.server.max_output))
            for name, section in profile.tools.items()
        ]
        # What servers offer is known when they have been asked.
        has_servers = any(isinstance(each, McpUpstream) for each in profile.upstreams.values())
        self._tools = None if has_servers else self._introduction.listed("tools/list", definitions, modern=False)

    def version_of(self, message: Message) -> str | None:
        """The revision that is spoken after this request; None where it is no usual initialize."""
        return version_of(message.params) if self._front and message.method == "initialize" else None

    def initialized(self, message: Message, version: str) -> bytes:
        """The answer to initialize."""
        return self._wire.answered(message.id, self._introduction.initialized(version), modern=False)

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
            return self._wire.answered(message.id, {}, modern=False)
        if message.method == "tools/list" and self._tools is not None:
            return self._wire.answered(message.id, self._tools, modern=False)
        return None
