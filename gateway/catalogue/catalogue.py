"""The tools of a profile, ready to be listed and called."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import structlog

from gateway.catalogue.documents import Documents, Reading
from gateway.catalogue.pages import NEXT_CURSOR
from gateway.catalogue.result import PROVENANCE, provenance, render_error, with_meta
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
from gateway.upstream.model import Upstream

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CallResult:
    """What a call of a tool answers: a CallToolResult as the bytes of a JSON object."""

    payload: bytes
    message: str | None = None
    """What went wrong, for an error; None for an answer."""
    answer: Answer | None = None
    """Where it came from; None for an error."""

    @property
    def is_error(self) -> bool:
        """Whether the call failed."""
        return self.message is not None


class Catalogue:
    """Lists and calls the tools that a profile declares."""

    def __init__(self, profile: Profile, pipeline: Pipeline, upstreams: Mapping[str, Upstream]) -> None:
        policies = {name: policy_of(name, strategy) for name, strategy in profile.strategies.items()}
        identities = {name: upstream.identity for name, upstream in upstreams.items()}
        self._pipeline = pipeline
        self.documents = Documents(pipeline, upstreams)
        self.tools = {}
        for name, section in profile.tools.items():
            directives = profile.strategies[section.strategy].call_directives
            budget = budget_of(section, profile.server.max_output)
            self.tools[name] = Tool(name, section, policies[section.strategy], identities, directives, budget)

    @property
    def definitions(self) -> Sequence[dict[str, Any]]:
        """Every tool as MCP's `tools/list` shows it, in the order of the profile."""
        return [tool.definition for tool in self.tools.values()]

    async def call(
        self,
        name: str,
        arguments: Mapping[str, Any] | None,
        *,
        caller: str = "",
        meta: Mapping[str, Any] | None = None,
        horizon: Horizon | None = None,
    ) -> CallResult:
        """The result of calling a tool: its answer, or a sentence (`is_error`) that says what to try next.

        `caller` says who asks, for private strategies; `meta` is the call's `_meta`, which may ask for a fresh answer
        where the strategy allows it; `horizon` is until when the answer should stay fresh. Raises UnknownTool.
        Cancelling stops the waiting; the answer is still made and kept, for whoever asks next.
        """
        tool = self.tools.get(name)
        if tool is None:
            raise UnknownTool(name)
        try:
            completed = tool.arguments.complete(arguments)
            cursor = completed.pop(CURSOR, None) if tool.pager is not None else None
            policy = tool.policy if meta is None else asked_for(tool, meta)
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


def asked_for(tool: Tool, meta: Mapping[str, Any]) -> Policy:
    """The tool's policy, made stricter by what the call's `_meta` asks for and the strategy allows.

    `{"gateway/cache": {"no-cache": true}}` wants the upstream to be asked, `{"max-age": 60}` nothing older than that
    (RFC 9111, section 5.2.1). What is not allowed is ignored, as caches do; what makes no sense is a ToolError.
    """
    asked = meta.get(PROVENANCE)
    if asked is None:
        return tool.policy
    known = isinstance(asked, Mapping) and not set(asked) - {"no-cache", "max-age"}
    age = asked.get("max-age", 0) if known else None
    if (
        not isinstance(age, int | float)
        or isinstance(age, bool)
        or not age >= 0
        or not isinstance(asked.get("no-cache", False), bool)
    ):
        raise ToolError(f'_meta["{PROVENANCE}"]: expected {{"no-cache": true}} or {{"max-age": seconds}}')
    policy = tool.policy
    if asked.get("no-cache", False) and "no-cache" in tool.directives:
        policy = policy.at_most(0.0)
    if "max-age" in asked and "max-age" in tool.directives:
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
