"""The tools of a profile and what its MCP servers offer, ready to be listed and used: all that serving reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gateway.catalogue.calls import ToolCalls
from gateway.catalogue.documents import Documents
from gateway.catalogue.federated import Asking, FederatedCalls
from gateway.catalogue.federation import Federation, Strategies
from gateway.catalogue.invalidated import Invalidated
from gateway.catalogue.labels import Labels
from gateway.catalogue.listing import Listing
from gateway.catalogue.policies import asked_for, policy_of
from gateway.catalogue.prompts import Prompts
from gateway.catalogue.resources import Resources
from gateway.catalogue.result import CallResult, failed
from gateway.catalogue.template import path_glob
from gateway.catalogue.tool import Tool
from gateway.errors import ToolError, UnknownTool, UpstreamError
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Horizon
from gateway.pipeline.pipeline import Pipeline
from gateway.profile.budget import budget_of
from gateway.profile.profile import Profile
from gateway.upstream.mcp.model import NOBODY, Channel, UpstreamRefused, own_name
from gateway.upstream.model import Upstream

if TYPE_CHECKING:
    from gateway.upstream.mcp.server import McpServer


class Catalogue:
    """Lists and serves what a profile declares, and what the MCP servers among its upstreams offer.

    `tools` are the declared ones. What is federated comes after them, and may change while the gateway runs.
    """

    def __init__(
        self,
        profile: Profile,
        pipeline: Pipeline,
        upstreams: Mapping[str, Upstream],
        servers: Sequence[McpServer] = (),
        before: Catalogue | None = None,
    ) -> None:
        """With `before`, what tools have changed while that one served is still known, where it matters as much."""
        policies = {name: policy_of(name, strategy) for name, strategy in profile.strategies.items()}
        identities = {name: upstream.identity for name, upstream in upstreams.items()}
        self.documents = Documents(pipeline, upstreams)
        changed = frozenset(path_glob(tag) for section in profile.tools.values() for tag in section.invalidates)
        known = before.invalidated if before is not None else None
        self.invalidated: Invalidated = (
            known if known is not None and known.globs == changed else Invalidated(changed, pipeline.clock)
        )
        self._calls = ToolCalls(pipeline, self.documents, self.invalidated)
        self.tools = {}
        for name, section in profile.tools.items():
            directives = profile.strategies[section.strategy].call_directives
            budget = budget_of(section, profile.server.max_output)
            policy = policies[section.strategy]
            self.tools[name] = Tool(name, section, policy, identities, directives, budget, pipeline.telemetry)

        self.resources = Resources(profile, self.tools, self._calls, pipeline.clock)
        self._prompts = Prompts(profile.prompts, self.tools, self._calls, self.read)
        allowed = {name: strategy.call_directives for name, strategy in profile.strategies.items()}
        self.federation = Federation(servers, Strategies(policies, allowed))
        self._federated = FederatedCalls(self.federation, pipeline)
        self.labels = Labels(self.tools, self.resources, self._prompts, self.federation)
        self._kinds = {kind for server in servers for kind in server.section.federate}
        self._kinds |= {"resources"} if profile.resources else set()
        self._kinds |= {"prompts"} if profile.prompts else set()
        self._declared: dict[str, tuple[Mapping[str, Any], ...]] = {
            "tools": tuple(tool.definition for tool in self.tools.values()),
            "resources": self.resources.definitions,
            "templates": self.resources.templates,
            "prompts": self._prompts.definitions,
        }
        self._own = {
            kind: {own_name(kind, definition) for definition in definitions}
            for kind, definitions in self._declared.items()
        }
        self.refresh()

    def refresh(self) -> None:
        """Take over what the MCP servers offer now."""
        self.federation.rebuild(self._own)

    def purged_elsewhere(self, selector: Selector) -> None:
        """Take note of a purge of another instance, which it may have made since something has changed."""
        self._calls.purged_elsewhere(selector)

    @property
    def definitions(self) -> Sequence[Mapping[str, Any]]:
        """Every tool as MCP's `tools/list` shows it."""
        return self.listing("tools").definitions

    def offers(self, kind: str) -> bool:
        """Whether there may ever be something of a kind: "tools", "resources" or their "templates", or "prompts"."""
        return kind == "tools" or ("resources" if kind == "templates" else kind) in self._kinds

    def listing(self, kind: str) -> Listing:
        """What is listed of a kind: "tools", "resources", "templates" or "prompts"; what is declared comes first."""
        return Listing(self._declared[kind]).and_then(self.federation.listing(kind))

    def input_schema(self, name: str) -> Mapping[str, Any] | None:
        """The JSON Schema of a tool's arguments; None where there is no such tool."""
        if name in self.tools:
            return self.tools[name].arguments.schema
        federated = self.federation.tools.get(name)
        return None if federated is None else federated.definition["inputSchema"]

    async def call(
        self,
        name: str,
        arguments: Mapping[str, Any] | None,
        *,
        caller: str = "",
        meta: Mapping[str, Any] | None = None,
        channel: Channel = NOBODY,
        answers: Mapping[str, Any] | None = None,
        horizon: Horizon | None = None,
    ) -> CallResult:
        """The result of calling a tool: its answer, or a sentence (`is_error`) that says what to try next.

        `caller` says who asks, for private strategies; `meta` is the call's `_meta`, which may ask for a fresh answer
        where the strategy allows it; `horizon` is until when the answer should stay fresh. `channel` is the way back to
        the client meanwhile, and `answers` is what it brings along when a server wanted to know something first.
        Raises UnknownTool, and UpstreamRefused for a protocol error of an MCP server. Cancelling stops the waiting; an
        answer to be kept is still made, for whoever asks next.
        """
        tool = self.tools.get(name)
        if tool is None:
            return await self._call_federated(name, arguments, Asking(caller, channel, meta or {}, answers or {}))
        return await self._calls.call(tool, arguments, caller=caller, meta=meta, horizon=horizon)

    async def read(self, uri: str, asking: Asking) -> Mapping[str, Any]:
        """The contents of a resource, for how long they hold and for whom.

        Raises UnknownResource, ToolError for one that can't be made or is set aside, and UpstreamError.
        """
        if self.resources.has(uri):
            return await self.resources.read(uri, asking.caller)
        return await self._federated.read(uri, asking)

    async def prompt(self, name: str, arguments: Mapping[str, Any] | None, asking: Asking) -> Mapping[str, Any]:
        """A prompt, filled in.

        Raises UnknownPrompt, ToolError for arguments that it can't be made of and for one that is set aside, and
        UpstreamError.
        """
        if name in self._prompts.names:
            return await self._prompts.fill(name, arguments or {}, asking)
        return await self._federated.prompt(name, arguments, asking)

    async def complete(self, ref: Mapping[str, Any], rest: Mapping[str, Any], asking: Asking) -> Mapping[str, Any]:
        """What may stand for an argument of a prompt or template, as MCP's `completion/complete` answers it.

        Raises UnknownPrompt, UnknownResource, ToolError for one that is set aside, and UpstreamError.
        """
        declared = self._prompts if ref["type"] == "ref/prompt" else self.resources
        values = await declared.complete(ref, rest, asking.caller)
        return values if values is not None else await self._federated.complete(ref, rest, asking)

    @property
    def completes(self) -> bool:
        """Whether there is anything that can be completed, or may ever be."""
        return bool(self.federation.servers) or self.resources.completes or self._prompts.completes

    async def _call_federated(self, name: str, arguments: Mapping[str, Any] | None, asking: Asking) -> CallResult:
        try:
            tool = self.federation.tool(name)
            if tool is None:
                raise UnknownTool(name)
            policy = tool.policy and asked_for(tool.policy, tool.directives, asking.meta)
            return await self._federated.call(tool, policy, arguments, asking)
        except UpstreamRefused:
            raise
        except (ToolError, UpstreamError) as error:
            return failed(error)
