"""Spans and metrics of a real gateway, as a collector receives them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
import trio

from tests.fakes.collector import Collector, Received
from tests.system.processes import NOWHERE
from tests.system.watched import Items, Watched, start

CALLER = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{CALLER}-b7ad6b7169203331-01"
SECRET = "s3cret-token"


@pytest.fixture
async def items(nursery: trio.Nursery) -> Items:
    """The upstream."""
    items = Items()
    await nursery.start(items.serve)
    return items


@pytest.fixture
async def collector(nursery: trio.Nursery) -> Collector:
    """The collector."""
    collector = Collector()
    await nursery.start(collector.serve)
    return collector


@asynccontextmanager
async def traced(folder: Path, items: Items, endpoint: str) -> AsyncIterator[Watched]:
    """A gateway that sends to `endpoint`; it has ended well after the block."""
    gateway = await start(folder, items.url, f'[opentelemetry]\nendpoint = "{endpoint}"\ninterval = "1s"\n')
    with gateway:
        async with httpx2.AsyncClient(trust_env=False, timeout=30) as http:
            yield Watched(gateway, http)
        assert await trio.to_thread.run_sync(gateway.stop) == 0


def one(spans: list[Received], name: str) -> Received:
    (found,) = [span for span in spans if span.name == name]
    return found


async def test_the_spans_of_a_miss(tmp_path: Path, items: Items, collector: Collector) -> None:
    """Request, tiers and upstream as one tree, which goes on in the caller's trace and to the upstream."""
    async with traced(tmp_path, items, collector.url) as watched:
        await watched.item(1, traceparent=TRACEPARENT, Authorization=f"Bearer {SECRET}")
    (request,) = [span for span in collector.spans if span.name == "tools/call item"]
    assert (request.trace, request.parent) == (CALLER, TRACEPARENT.split("-")[2])
    tree = {span.id: span for span in collector.spans if span.trace == CALLER}
    upstream = one(list(tree.values()), "upstream")
    assert (upstream.attributes["gateway.upstream"], upstream.attributes["gateway.outcome"]) == ("items", "answered")
    reads = [span.attributes for span in collector.children(request.id) if span.name == "cache read"]
    assert [(read["gateway.tier"], read["gateway.outcome"]) for read in reads] == [("memory", "miss"), ("disk", "miss")]
    document = tree[upstream.parent]
    result = tree[document.parent]
    assert (document.name, result.name, result.parent) == ("load", "load", request.id)
    below = [span.attributes["gateway.tier"] for span in collector.children(result.id) if span != document]
    assert below == ["memory", "disk"]
    (asked,) = items.requests
    assert asked.headers["traceparent"] == f"00-{CALLER}-{upstream.id}-01"
    assert collector.resources[0]["service.name"] == "watched"
    assert "gateway_request_seconds" in collector.metrics
    assert not any(SECRET in str(span) for span in collector.spans)


async def test_the_spans_of_a_hit(tmp_path: Path, items: Items, collector: Collector) -> None:
    """Memory answers at once: one span, in a trace of its own where the caller has none."""
    async with traced(tmp_path, items, collector.url) as watched:
        await watched.item(1)
        await watched.item(1)
    first, second = [span for span in collector.spans if span.name == "tools/call item"]
    assert first.trace != second.trace
    assert [span.name for span in collector.spans if span.trace == second.trace] == ["tools/call item"]


async def test_a_trace_in_the_request_counts_more_than_its_header(
    tmp_path: Path, items: Items, collector: Collector
) -> None:
    """`_meta.traceparent` (SEP-414) is the client's own; a proxy may have put in the header."""
    own = "1" * 32
    async with traced(tmp_path, items, collector.url) as watched:
        params = {"name": "item", "arguments": {"number": 1}, "_meta": {"traceparent": f"00-{own}-{'2' * 16}-01"}}
        await watched.rpc("tools/call", params, traceparent=TRACEPARENT)
    assert one(collector.spans, "tools/call item").trace == own


async def test_nothing_of_a_request_is_in_a_span(tmp_path: Path, items: Items, collector: Collector) -> None:
    """Names that nobody declared, arguments that make no sense and answers that fail: only our own words."""
    async with traced(tmp_path, items, collector.url) as watched:
        await watched.rpc("tools/call", {"name": SECRET, "arguments": {}})
        await watched.rpc("tools/call", {"name": "item", "arguments": {"number": SECRET}})
        await watched.rpc("resources/read", {"uri": f"item://{SECRET}"})
        await watched.rpc("prompts/get", {"name": SECRET})
        await watched.rpc(f"{SECRET}/x", {})
        items.failing = True
        await watched.item(7_654_321)
    assert len([span for span in collector.spans if span.kind == 2]) == 6
    assert not any(SECRET in str(span) or "7654321" in str(span) for span in collector.spans)
    assert not any(span.events or span.status for span in collector.spans)
    assert one(collector.spans, "upstream").failed


async def test_a_dead_collector_harms_nothing(tmp_path: Path, items: Items) -> None:
    """Requests are answered as ever, and SIGTERM ends the gateway: whatever waits for a collector has an end."""
    async with traced(tmp_path, items, NOWHERE) as watched:
        for number in range(20):
            assert "isError" not in await watched.item(number)
