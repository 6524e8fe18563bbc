"""The tools of a profile and what its MCP servers offer, ready to be listed and used: all that serving reads."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from gateway.catalogue.documents import Documents, Reading
from gateway.catalogue.federated import Asking, FederatedCalls
from gateway.catalogue.federation import Federation, Strategies
from gateway.catalogue.listing import Listing
from gateway.catalogue.pages import NEXT_CURSOR
from gateway.catalogue.result import PROVENANCE, CallResult, provenance, render_error, with_meta
from gateway.catalogue.tool import Tool
from gateway.errors import TierError, ToolError, UnknownTool, UpstreamError
from gateway.pipeline.freshness import Verdict, derived_entry, judge
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import (
    Answer,
    Entry,
    Horizon,
    Loaded,
    Negative,
    Policy,
    Priority,
    Request,
    Status,
    UpstreamFreshness,
)
from gateway.pipeline.pipeline import Pipeline
from gateway.profile.budget import CURSOR, budget_of
from gateway.profile.profile import Profile
from gateway.profile.tiers import Strategy
from gateway.upstream.mcp.model import NOBODY, Channel, UpstreamRefused
from gateway.upstream.model import Upstream

if TYPE_CHECKING:
    from gateway.upstream.mcp.server import McpServer

log = structlog.get_logger(__name__)


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
    ) -> None:
        policies = {name: policy_of(name, strategy) for name, strategy in profile.strategies.items()}
        identities = {name: upstream.identity for name, upstream in upstreams.items()}
        self._pipeline = pipeline
        self.documents = Documents(pipeline, upstreams)
        self.tools = {}
        for name, section in profile.tools.items():
            directives = profile.strategies[section.strategy].call_directives
            budget = budget_of(section, profile.server.max_output)
            self.tools[name] = Tool(name, section, policies[section.strategy], identities, directives, budget)

        allowed = {name: strategy.call_directives for name, strategy in profile.strategies.items()}
        self.federation = Federation(servers, Strategies(policies, allowed))
        self._federated = FederatedCalls(self.federation, pipeline)
        self._kinds = frozenset(kind for server in servers for kind in server.section.federate)
        self.refresh()

    def refresh(self) -> None:
        """Take over what the MCP servers offer now."""
        self.federation.rebuild(self.tools)

    @property
    def definitions(self) -> Sequence[Mapping[str, Any]]:
        """Every tool as MCP's `tools/list` shows it."""
        return self.listing("tools").definitions

    def offers(self, kind: str) -> bool:
        """Whether there may ever be something of a kind: "tools", "resources" (and their templates) or "prompts"."""
        return kind == "tools" or kind in self._kinds

    def listing(self, kind: str) -> Listing:
        """What is listed of a kind: "tools", "resources", "templates" or "prompts"; what is declared comes first."""
        declared = tuple(tool.definition for tool in self.tools.values()) if kind == "tools" else ()
        return Listing(declared).and_then(self.federation.listing(kind))

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
        try:
            completed = tool.arguments.complete(arguments)
            cursor = completed.pop(CURSOR, None) if tool.pager is not None else None
            policy = asked_for(tool.policy, tool.directives, meta or {})
            reading = Reading(policy if horizon is None else replace(policy, horizon=horizon), caller=caller)
            key = tool.key(completed, reading.owner)  # also where nothing is cached: it refuses what JSON can't hold
            answer = await self._answer(tool, key, completed, arguments or {}, reading)
            payload, following = answer.entry.payload, None
            if tool.pager is not None:
                payload, following = tool.pager.page(payload, key, cursor or None)
        except (ToolError, UpstreamError) as error:
            return CallResult(render_error(str(error)), message=str(error))
        about: dict[str, Any] = {PROVENANCE: provenance(answer, self._pipeline.clock())}
        if following is not None:
            about[NEXT_CURSOR] = following
        return CallResult(with_meta(payload, about), answer=answer)

    async def read(self, uri: str, asking: Asking) -> Mapping[str, Any]:
        """The contents of a resource, for how long they hold and for whom.

        Raises UnknownResource, ToolError for one that is set aside, and UpstreamError.
        """
        return await self._federated.read(uri, asking)

    async def prompt(self, name: str, arguments: Mapping[str, Any] | None, asking: Asking) -> Mapping[str, Any]:
        """A prompt, filled in; raises UnknownPrompt, ToolError for one that is set aside, and UpstreamError."""
        return await self._federated.prompt(name, arguments, asking)

    async def complete(self, ref: Mapping[str, Any], rest: Mapping[str, Any], asking: Asking) -> Mapping[str, Any]:
        """What may stand for an argument of a prompt or template, as MCP's `completion/complete` answers it.

        Raises UnknownPrompt, UnknownResource, ToolError for one that is set aside, and UpstreamError.
        """
        return await self._federated.complete(ref, rest, asking)

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
            return CallResult(render_error(str(error)), message=str(error))

    async def _answer(
        self, tool: Tool, key: str, arguments: Mapping[str, Any], given: Mapping[str, Any], reading: Reading
    ) -> Answer:
        load = partial(self._load, tool, key, arguments, given, reading)
        if tool.cached:
            return await self._pipeline.get(Request(key, reading.policy, load))
        # What changes something is done once for each call, and nobody else gets its answer.
        answer = Answer((await load(None)).entry, Status.MISS, "upstream")
        for tag in tool.invalidated(arguments):
            try:
                await self._pipeline.purge(Selector("tag", tag))
            except TierError as error:  # the upstream has done it; that the cache may lag is the operator's to know
                log.error("invalidation failed", tool=tool.name, tag=tag, error=str(error))  # noqa: TRY400
        return answer

    async def _load(
        self,
        tool: Tool,
        key: str,
        arguments: Mapping[str, Any],
        given: Mapping[str, Any],
        reading: Reading,
        stale: Entry | None,
    ) -> Loaded:
        # To refresh a stale result from stale documents would make nothing fresher.
        reading = replace(reading, revalidate=stale is not None, cached=tool.cached)
        rendered = await tool.answer(self.documents, arguments, given, reading, key)
        now = self._pipeline.clock()
        tags = (f"tool:{tool.name}", f"strategy:{tool.policy.name}", *rendered.tags)
        entry = derived_entry(
            rendered.payload,
            tool.policy,
            rendered.sources,
            now,
            draw=random.random(),  # noqa: S311  # jitter is no secret
            tags=tags,
        )
        return Loaded(entry, keep=judge(entry, tool.policy, now) is Verdict.FRESH)


def asked_for(policy: Policy, directives: Collection[str], meta: Mapping[str, Any]) -> Policy:
    """A tool's policy, made stricter by what the call's `_meta` asks for and the strategy's `directives` allow.

    `{"gateway/cache": {"no-cache": true}}` wants the upstream to be asked, `{"max-age": 60}` nothing older than that
    (RFC 9111, section 5.2.1). What is not allowed is ignored, as caches do; what makes no sense is a ToolError.
    """
    asked = meta.get(PROVENANCE)
    if asked is None:
        return policy
    known = isinstance(asked, Mapping) and not set(asked) - {"no-cache", "max-age"}
    age = asked.get("max-age", 0) if known else None
    if (
        not isinstance(age, int | float)
        or isinstance(age, bool)
        or not age >= 0
        or not isinstance(asked.get("no-cache", False), bool)
    ):
        raise ToolError(f'_meta["{PROVENANCE}"]: expected {{"no-cache": true}} or {{"max-age": seconds}}')
    if asked.get("no-cache", False) and "no-cache" in directives:
        policy = policy.at_most(0.0)
    if "max-age" in asked and "max-age" in directives:
        policy = policy.at_most(min(policy.max_age, float(age)))
    return policy


def policy_of(name: str, strategy: Strategy) -> Policy:
    """A `[strategies.NAME]` as the pipeline needs it."""
    negative = strategy.negative
    return Policy(
        name,
        strategy.ttl,
        strategy.stale_while_revalidate,
        strategy.stale_if_error,
        Priority[strategy.priority.upper()],
        Negative(negative.not_found, negative.upstream_error, negative.invalid),
        strategy.jitter,
        frozenset(strategy.tiers),
        strategy.scope == "private",
        UpstreamFreshness(strategy.upstream_freshness),
        strategy.patience,
    )
