"""Calls of declared tools: from arguments through the pipeline to the bytes of a result, and what changes with them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import structlog
import trio

from gateway.catalogue.documents import DOCUMENTS, Documents, Reading
from gateway.catalogue.invalidated import Invalidated
from gateway.catalogue.normalized import spellings
from gateway.catalogue.pages import NEXT_CURSOR
from gateway.catalogue.policies import asked_for
from gateway.catalogue.result import PROVENANCE, CallResult, failed, provenance, with_meta
from gateway.catalogue.tool import Rendered, Tool
from gateway.errors import TierError, ToolError, UpstreamError
from gateway.pipeline.freshness import Verdict, derived_entry, judge, lasts_until
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Answer, Entry, Horizon, Loaded, Request, Status
from gateway.pipeline.pipeline import Pipeline
from gateway.profile.budget import CURSOR

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Called:
    """What a call answers before it is said where that came from."""

    payload: bytes
    """A CallToolResult as the bytes of a JSON object: the whole, or the part that was asked for."""
    answer: Answer
    following: str | None = None
    """The cursor of the next part."""


class ToolCalls:
    """Calls declared tools; all of them share the pipeline."""

    def __init__(self, pipeline: Pipeline, documents: Documents, invalidated: Invalidated) -> None:
        self._pipeline = pipeline
        self._documents = documents
        self._invalidated = invalidated

    async def call(
        self,
        tool: Tool,
        arguments: Mapping[str, Any] | None,
        *,
        caller: str = "",
        meta: Mapping[str, Any] | None = None,
        horizon: Horizon | None = None,
    ) -> CallResult:
        """The result with its provenance, or a sentence (`is_error`) that says what to try next.

        The parameters are those of `ask`. Cancelling stops the waiting; an answer to be kept is still made.
        """
        try:
            called = await self.ask(tool, arguments, caller=caller, meta=meta, horizon=horizon)
        except (ToolError, UpstreamError) as error:
            return failed(error)
        about: dict[str, Any] = {PROVENANCE: provenance(called.answer, self._pipeline.clock())}
        if called.following is not None:
            about[NEXT_CURSOR] = called.following
        outcome = called.answer.status.value if tool.cached else "passed"
        return CallResult(with_meta(called.payload, about), answer=called.answer, outcome=outcome)

    async def ask(
        self,
        tool: Tool,
        arguments: Mapping[str, Any] | None,
        *,
        caller: str = "",
        meta: Mapping[str, Any] | None = None,
        horizon: Horizon | None = None,
    ) -> Called:
        """What the tool answers. Raises ToolError where the caller is to blame, UpstreamError where an upstream is.

        `caller` says who asks, for private strategies; `meta` is the call's `_meta`, which may ask for a fresh answer
        where the strategy allows it; `horizon` is until when the answer should stay fresh.
        """
        completed = tool.arguments.complete(arguments)
        cursor = completed.pop(CURSOR, None) if tool.pager is not None else None
        policy = asked_for(tool.policy, tool.directives, meta or {})
        reading = Reading(policy if horizon is None else replace(policy, horizon=horizon), caller=caller)
        key = tool.key(completed, reading.owner)  # also where nothing is cached: it refuses what JSON can't hold
        answer = await self._answer(tool, key, completed, arguments or {}, reading)
        if tool.pager is None:
            return Called(answer.entry.payload, answer)
        payload, following = tool.pager.page(answer.entry.payload, key, cursor or None)
        return Called(payload, answer, following)

    async def _answer(
        self, tool: Tool, key: str, arguments: Mapping[str, Any], given: Mapping[str, Any], reading: Reading
    ) -> Answer:
        load = partial(self._load, tool, key, arguments, given, reading)
        if tool.cached:
            answer = await self._pipeline.get(Request(key, reading.policy, load, reading.shareable))
            return answer.fresh_at_most_until(lasts_until(answer.entry, tool.policy))
        # What changes something is done once for each call, and nobody else gets its answer.
        answer = Answer((await load(None)).entry, Status.MISS, "upstream").fresh_at_most_until(self._pipeline.clock())
        with trio.CancelScope(shield=True):  # the upstream has done it, whether or not its caller still waits
            await self._invalidate(tool, tool.invalidated(arguments))
        return answer

    async def _invalidate(self, tool: Tool, tags: Sequence[str]) -> None:
        for tag in tags:
            self._invalidated.record(tag)
        if tags:  # a document that was asked for before the change may arrive after it
            self._pipeline.overtake(DOCUMENTS)
        for tag in tags:
            try:
                await self._pipeline.purge(Selector("tag", tag))
            except TierError as error:  # that the cache may lag is the operator's to know, not the caller's
                log.error("invalidation failed", tool=tool.name, tag=tag, error=str(error))  # noqa: TRY400

    def purged_elsewhere(self, selector: Selector) -> None:
        """Take a purge by tag for the change that may have been its reason: documents from before it are of no use."""
        if selector.kind == "tag" and self._invalidated:
            self._invalidated.record(selector.value)
            self._pipeline.overtake(DOCUMENTS)

    async def _load(
        self,
        tool: Tool,
        key: str,
        arguments: Mapping[str, Any],
        given: Mapping[str, Any],
        reading: Reading,
        stale: Entry | None,
    ) -> Loaded:
        waited_for = stale is None or judge(stale, reading.policy, self._pipeline.clock()) is not Verdict.REVALIDATE
        # To refresh a stale result from stale documents would make nothing fresher.
        reading = replace(reading, revalidate=stale is not None, cached=tool.cached)
        rendered = await self._make(tool, key, arguments, given, reading)
        if tool.cached and waited_for:
            self._pipeline.telemetry.misses.note(tool.name, key, spellings(arguments), rendered.payload)
        now = self._pipeline.clock()
        entry = derived_entry(
            rendered.payload,
            tool.policy,
            rendered.sources,
            now,
            draw=random.random(),  # noqa: S311  # jitter is no secret
            tags=rendered.tags,
        )
        return Loaded(entry, keep=judge(entry, tool.policy, now) is Verdict.FRESH)

    async def _make(
        self, tool: Tool, key: str, arguments: Mapping[str, Any], given: Mapping[str, Any], reading: Reading
    ) -> Rendered:
        """The answer, made of nothing that a call of another tool has made untrue."""
        if not self._invalidated:
            return await tool.answer(self._documents, arguments, given, reading, key)
        since = self._invalidated.since(tool.tags(arguments))
        rendered = await tool.answer(self._documents, arguments, given, reading.not_before(since), key)
        # A tag may name the release, which is known only now; and time has passed.
        later = self._invalidated.since(rendered.tags)
        if tool.cached and later > since and any(source.stored_at <= later for source in rendered.sources):
            rendered = await tool.answer(self._documents, arguments, given, reading.not_before(later), key)
        return rendered
