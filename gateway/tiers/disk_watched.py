"""What the disk tier tells the recorder of its miss-ratio curve."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Entry
from gateway.telemetry.metrics import TierMeter
from gateway.tiers.curve import Recency, Recorder
from gateway.tiers.disk_entries import RECENT
from gateway.tiers.disk_store import LOW

_FULL = (1 + LOW) / 2
"""How full a full file is on average: evicting begins at the limit and ends a little below."""

_UNLIMITED = 1 << 62


class WatchedDisk:
    """The requests of the disk tier at several sizes.

    Sizes are those of the rows, as compressed. What was in the file before this process is seen when it is asked for.
    A purge by key or of all reaches every size, one by tag or pattern none but the counts: see `Recorder`.
    """

    def __init__(self, max_size: int) -> None:
        self._meter = TierMeter()
        self.recorder = Recorder(_order, self._meter, _UNLIMITED, max_size, fill=_FULL)

    def resize(self, max_size: int) -> None:
        """The tier has another limit from now on."""
        self.recorder.resize(max_size, _UNLIMITED)

    def read(self, key: str, entry: Entry | None, size: int, now: float) -> None:
        """Note that `key` was asked for, and what there was."""
        if entry is None or now >= entry.usable_until:
            self._meter.misses += 1
            self.recorder.miss(key, now)
            return
        self._meter.hits += 1
        self.recorder.hit(key, now, size, entry.priority, entry.usable_until)

    def wrote(self, entries: Mapping[str, Entry], sizes: Mapping[str, int], now: float, ttl: float) -> None:
        """Note what was put, and what each takes."""
        for key, size in sizes.items():
            entry = entries[key]
            stale = max(entry.stale_while_revalidate, entry.stale_if_error)
            self.recorder.put(key, now, size, entry.priority, min(entry.fresh_until, now + ttl) + stale)

    def purged(self, selector: Selector) -> None:
        """Note a purge, as far as it says which keys it is about."""
        match selector.kind:
            case "all":
                self.recorder.purge(None)
            case "key":
                self.recorder.purge([selector.value])
            case _:
                pass


def _order(_max_items: int, _max_size: int) -> Recency:
    return Recency(RECENT)
