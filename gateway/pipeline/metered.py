"""One decorator for every lower tier: counts what happens, and turns a failing tier into a miss."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from time import perf_counter
from typing import Protocol

import structlog

from gateway.errors import TierError
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Entry
from gateway.telemetry.metrics import TierMeter
from gateway.telemetry.telemetry import Telemetry
from gateway.telemetry.tracing import span

log = structlog.get_logger(__name__)


class Tier(Protocol):
    """A place for entries that takes time to reach. Raises TierError when it can't be reached."""

    name: str

    async def get(self, key: str) -> Entry | None:
        """The entry of `key`, fresh or not."""

    async def put(self, entries: Mapping[str, Entry]) -> None:
        """Keep entries, all or none. A `purge` that is called later finds them, even before this returns."""

    async def purge(self, selector: Selector, *, soft: bool = False) -> int:
        """Forget the selected entries, durably, or only make them stale; how many there were.

        A `get` that is called later does not find them as they were, even before this returns.
        """


class Metered:
    """A tier whose reads and writes are timed, and whose failures never reach a request.

    A failure is counted, and logged once each time the tier's state changes.
    """

    def __init__(self, tier: Tier, telemetry: Telemetry | None = None) -> None:
        self.tier = tier
        self.name = tier.name
        self.meter = TierMeter()
        timings = (telemetry or Telemetry()).tiers
        self._hits, self._misses, self._failed_reads = (
            timings.of(tier.name, "read", outcome) for outcome in ("hit", "miss", "failed")
        )
        self._writes, self._failed_writes = (timings.of(tier.name, "write", outcome) for outcome in ("done", "failed"))
        self._failing = False

    async def get(self, key: str) -> Entry | None:
        """As the tier's; None when the tier fails."""
        began = perf_counter()
        with span("cache read", tier=self.name) as reading:
            try:
                entry = await self.tier.get(key)
            except TierError as error:
                self._failed_reads.record(perf_counter() - began)
                self._failed("read", error)
                reading.set(outcome="failed")
                return None
            reading.set(outcome="miss" if entry is None else "hit")
        if entry is None:
            self.meter.misses += 1
            self._misses.record(perf_counter() - began)
        else:
            self.meter.hits += 1
            self._hits.record(perf_counter() - began)
        return entry

    async def put(self, entries: Mapping[str, Entry]) -> None:
        """As the tier's; nothing is kept when the tier fails."""
        await self.write(partial(self.tier.put, entries), len(entries))

    async def write(self, put: Callable[[], Awaitable[object]], entries: int) -> None:
        """As `put`, of so many entries, by another way of the tier's."""
        began = perf_counter()
        try:
            await put()
        except TierError as error:
            self._failed_writes.record(perf_counter() - began)
            self._failed("write", error)
            return
        self._writes.record(perf_counter() - began)
        self.meter.writes += entries
        if self._failing:
            self._failing = False
            log.info("cache tier works again", tier=self.name)

    async def purge(self, selector: Selector, *, soft: bool = False) -> int:
        """As the tier's; raises TierError, since a purge that did not happen must not be acknowledged."""
        return await self.tier.purge(selector, soft=soft)

    def _failed(self, what: str, error: TierError) -> None:
        self.meter.errors += 1
        if not self._failing:
            self._failing = True
            log.warning("cache tier fails, serving without it", tier=self.name, on=what, error=str(error))
