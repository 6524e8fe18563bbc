"""One decorator for every lower tier: counts what happens, and turns a failing tier into a miss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import structlog

from gateway.errors import TierError
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Entry
from gateway.telemetry.metrics import TierMeter

log = structlog.get_logger(__name__)


class Tier(Protocol):
    """A place for entries that takes time to reach. Raises TierError when it can't be reached."""

    name: str

    async def get(self, key: str) -> Entry | None:
        """The entry of `key`, fresh or not."""

    async def put(self, entries: Mapping[str, Entry]) -> None:
        """Keep entries, all or none. A `get` or `purge` that is called later finds them, even before this returns."""

    async def purge(self, selector: Selector, *, soft: bool = False) -> int:
        """Forget the selected entries, durably, or only make them stale; how many there were."""


class Metered:
    """A tier whose failures are counted and logged once each time its state changes, and never reach a request."""

    def __init__(self, tier: Tier) -> None:
        self.tier = tier
        self.name = tier.name
        self.meter = TierMeter()
        self._failing = False

    async def get(self, key: str) -> Entry | None:
        """As the tier's; None when the tier fails."""
        try:
            entry = await self.tier.get(key)
        except TierError as error:
            self._failed("read", error)
            return None
        if entry is None:
            self.meter.misses += 1
        else:
            self.meter.hits += 1
        return entry

    async def put(self, entries: Mapping[str, Entry]) -> None:
        """As the tier's; nothing is kept when the tier fails."""
        try:
            await self.tier.put(entries)
        except TierError as error:
            self._failed("write", error)
            return
        self.meter.writes += len(entries)
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
