"""A search over an upstream in memory, through a real pipeline."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import trio

from gateway.catalogue.documents import Documents, Reading
from gateway.pipeline.clock import Clock
from gateway.pipeline.model import Entry, Policy
from gateway.pipeline.pipeline import Pipeline
from gateway.pipeline.single_flight import SingleFlight
from gateway.profile.tiers import MemoryTier as MemorySection
from gateway.profile.upstreams.search import SearchUpstream
from gateway.tiers.memory import MemoryTier
from gateway.upstream.model import Fetched, Upstream, Validators, Wanted
from gateway.upstream.search.upstream import Search, open_search
from tests.fakes.upstream import FakeUpstream, spelled

POLICY = Policy("s", ttl=100.0, stale_while_revalidate=50.0, stale_if_error=1000.0)
TABLE = {
    "type": "search",
    "upstream": "api",
    "strategy": "s",
    "documents": [{"path": "{name}.md", "each": {"name": ["button", "input"]}, "fields": {"url": "/{name}"}}],
}


@dataclass
class Gated(FakeUpstream):
    """Markdown that is read once `gate` is open, and comes once `way` is, as it was read."""

    gate: trio.Event = field(default_factory=trio.Event)
    way: trio.Event | None = None
    media_type: str = "text/markdown"

    async def fetch(self, wanted: Wanted, validators: Validators | None = None) -> Fetched:
        if not wanted.listing:
            await self.gate.wait()
        way = self.way
        fetched = await super().fetch(wanted, validators)
        if way is not None:
            await way.wait()
        return fetched

    def times_asked(self) -> dict[str, int]:
        return {name: self.times(name) for name in map(spelled, self.asked)}


@dataclass
class Rig:
    """A search called `docs-search` over `api`."""

    api: Gated
    search: Search
    documents: Documents
    pipeline: Pipeline

    async def entry(self, q: str, *, version: str | None = None, **more: str) -> Entry:
        wanted = Wanted("", version, (("q", q), *more.items()))
        return await self.documents.get("docs-search", wanted, Reading(POLICY))

    async def answer(self, q: str, *, version: str | None = None, **more: str) -> Any:
        return orjson.loads((await self.entry(q, version=version, **more)).payload)

    async def titles(self, q: str, *, version: str | None = None, **more: str) -> list[str]:
        return [hit["title"] for hit in (await self.answer(q, version=version, **more))["hits"]]


def docs(**pages: str) -> dict[str, Any]:
    return {f"{name}.md": text.encode() for name, text in pages.items()}


PAGES = docs(button="# Button\n\nPress it.\n\n## Disabled\n\nNobody can press it.", input="# Input\n\nType into it.")


@asynccontextmanager
async def open_rig(
    table: Mapping[str, Any] | None = None, *, documents: Mapping[str, Any] = PAGES, is_open: bool = True
) -> AsyncIterator[Rig]:
    """`table` are keys of the search's section; the documents come at once where `is_open`."""
    api = Gated(documents=dict(documents))
    if is_open:
        api.gate.set()
    section = SearchUpstream.model_validate({**TABLE, **(table or {})})
    clock = Clock(wall=lambda: 0.0)
    async with trio.open_nursery() as nursery:
        memory = MemoryTier(MemorySection(), clock)
        pipeline = Pipeline(memory, [], clock, loads=nursery, writes=nursery)
        upstreams: dict[str, Upstream] = {"api": api}
        through = Documents(pipeline, upstreams)
        async with open_search(
            "docs-search", section, api, through.reader(POLICY), SingleFlight[Fetched](nursery)
        ) as search:
            upstreams["docs-search"] = search
            yield Rig(api, search, through, pipeline)
            nursery.cancel_scope.cancel()
