"""The tools of a profile, ready to be listed and called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from gateway.catalogue.documents import Documents
from gateway.catalogue.result import PROVENANCE, provenance, render_error, with_meta
from gateway.catalogue.tool import Tool
from gateway.errors import ToolError, UnknownTool, UpstreamError
from gateway.pipeline.freshness import Verdict, judge, new_entry
from gateway.pipeline.model import Answer, Entry, Loaded, Policy, Priority, Request, Status
from gateway.pipeline.pipeline import Pipeline
from gateway.profile.profile import Profile
from gateway.profile.tiers import Strategy
from gateway.upstream.model import Upstream


@dataclass(frozen=True, slots=True)
class CallResult:
    """What a call of a tool answers: a CallToolResult as the bytes of a JSON object."""

    payload: bytes
    is_error: bool = False
    answer: Answer | None = None
    """Where it came from; None for an error."""


class Catalogue:
    """Lists and calls the tools that a profile declares."""

    def __init__(self, profile: Profile, pipeline: Pipeline, upstreams: Mapping[str, Upstream]) -> None:
        policies = {name: _policy(name, strategy) for name, strategy in profile.strategies.items()}
        identities = {name: upstream.identity for name, upstream in upstreams.items()}
        self._pipeline = pipeline
        self._documents = {cached: Documents(pipeline, upstreams, cached=cached) for cached in (True, False)}
        self.tools = {
            name: Tool(name, section, policies[section.strategy], identities) for name, section in profile.tools.items()
        }

    @property
    def definitions(self) -> Sequence[dict[str, Any]]:
        """Every tool as MCP's `tools/list` shows it, in the order of the profile."""
        return [tool.definition for tool in self.tools.values()]

    async def call(self, name: str, arguments: Mapping[str, Any] | None) -> CallResult:
        """The result of calling a tool: its answer, or a sentence (`is_error`) that says what to try next.

        Raises UnknownTool. Cancelling stops the waiting; the answer is still made and kept, for whoever asks next.
        """
        tool = self.tools.get(name)
        if tool is None:
            raise UnknownTool(name)
        try:
            completed = tool.arguments.complete(arguments)
            load = partial(self._load, tool, completed, arguments or {})
            key = tool.key(completed)  # also where nothing is cached: it refuses what JSON can't hold
            if tool.cached:
                answer = await self._pipeline.get(Request(key, tool.policy, load))
            else:
                # What changes something is done once for each call, and nobody else gets its answer.
                answer = Answer((await load(None)).entry, Status.MISS, "upstream")
        except (ToolError, UpstreamError) as error:
            return CallResult(render_error(str(error)), is_error=True)
        meta = {PROVENANCE: provenance(answer, self._pipeline.clock())}
        return CallResult(with_meta(answer.entry.payload, meta), answer=answer)

    async def _load(
        self, tool: Tool, arguments: Mapping[str, Any], given: Mapping[str, Any], stale: Entry | None
    ) -> Loaded:
        # To refresh a stale result from stale documents would make nothing fresher.
        rendered = await tool.answer(self._documents[tool.cached], arguments, given, revalidate=stale is not None)
        now = self._pipeline.clock()
        tags = (f"tool:{tool.name}", f"strategy:{tool.policy.name}", *rendered.tags)
        entry = new_entry(rendered.payload, tool.policy, now if rendered.oldest is None else rendered.oldest, tags=tags)
        return Loaded(entry, keep=judge(entry, tool.policy, now) is Verdict.FRESH)


def _policy(name: str, strategy: Strategy) -> Policy:
    return Policy(
        name,
        strategy.ttl,
        strategy.stale_while_revalidate,
        strategy.stale_if_error,
        Priority[strategy.priority.upper()],
    )
