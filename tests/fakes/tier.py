"""A tier in a dictionary, with latency and failures on demand: what the pipeline's tests put below memory."""

from __future__ import annotations

from collections.abc import Mapping

import trio

from gateway.errors import TierError
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Entry


class DictTier:
    """Keeps entries in a dictionary; `delay` seconds per operation on Trio's clock, errors while `broken`."""

    name = "disk"

    def __init__(self, delay: float = 0.0) -> None:
        self.entries: dict[str, Entry] = {}
        self.delay = delay
        self.broken = False
        self.reads = 0

    async def get(self, key: str) -> Entry | None:
        self.reads += 1
        found = self.entries.get(key)
        await self._take_time()
        return found

    async def put(self, entries: Mapping[str, Entry]) -> None:
        self.entries.update(entries)
        await self._take_time()

    async def purge(self, selector: Selector, *, soft: bool = False) -> int:
        selected = [key for key, entry in self.entries.items() if selector.matches(key, entry.tags)]
        for key in selected:
            if soft:
                self.entries[key] = self.entries[key].made_stale(trio.current_time())
            else:
                del self.entries[key]
        await self._take_time()
        return len(selected)

    async def _take_time(self) -> None:
        await trio.sleep(self.delay)
        if self.broken:
            raise TierError("the tier is broken")
