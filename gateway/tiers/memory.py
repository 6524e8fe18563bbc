"""L1: entries in this process."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from typing import assert_never

from gateway.pipeline.clock import Clock
from gateway.pipeline.glob import Glob
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import LONG_TAGS, Entry, Priority
from gateway.profile.tiers import MemoryTier as MemorySection
from gateway.telemetry.metrics import TierMeter
from gateway.tiers.curve import Curve, Recorder, TwinNode
from gateway.tiers.eviction import Adaptive, EvictionPolicy, EvictionStatistics, Lru, Node

OVERHEAD = 400
"""Bytes that an entry costs at most beyond its payload, its key and long tags: the Entry, the slot, the order."""

_TWIN_SAMPLE = 96
"""Entries of the simulations by which a twin of an adaptive tier adapts: it need not be as good at it as the tier."""
_ADAPTIVE_PRICE = 2.0
"""What a play costs with the adaptive algorithm, where one with LRU costs 1."""

_COSTS = tuple(step * 64 for step in range(1024))


class Slot(Node):
    """An entry where it is kept, and for how long it counts as fresh there."""

    __slots__ = ("entry", "fresh_here_until", "made", "noted")

    def __init__(self, key: str, entry: Entry, cost: int, fresh_here_until: float) -> None:
        super().__init__(key, cost, entry.priority)
        self.entry = entry
        self.fresh_here_until = fresh_here_until
        self.made: object = None
        """What whoever serves the entry has made of it, to have it at hand; it goes with the entry."""
        self.noted = 0
        """The tick of the curve's recorder in which it knows of a read."""

    @property
    def usable_until(self) -> float:
        """From here on nobody may use the entry."""
        return self.fresh_here_until + max(self.entry.stale_while_revalidate, self.entry.stale_if_error)

    def seen_at(self, now: float) -> Entry:
        """The entry as it is at `now`: no longer fresh than this tier allows."""
        return self.entry if now < self.fresh_here_until else self.entry.fresh_at_most_until(self.fresh_here_until)


@dataclass(frozen=True, slots=True)
class MemoryStatistics:
    """How the memory tier stands."""

    entries: int
    size: int
    """Bytes, with bookkeeping."""
    evictions: int
    eviction: EvictionStatistics


class MemoryTier:
    """Keeps entries up to a number, a number of bytes, and a time; `get` and `put` never wait.

    What is given up when there is no room is for `cache.memory.algorithm` to say. An entry counts as fresh for at most
    `ttl` from when it was put here; it stays for its stale windows.
    """

    name = "memory"

    def __init__(self, section: MemorySection, clock: Clock) -> None:
        self._max_size = section.max_size
        self._max_items = section.max_items
        self._said = section.max_size, section.max_items
        self._ttl = section.ttl
        self._clock = clock
        self._slots: dict[str, Slot] = {}
        self._size = 0
        self._evictions = 0
        self._policy = _policy(section)
        self._note_read = self._policy.hit
        self.meter = TierMeter()
        self._recorder = _recorder(section, self.meter) if section.curve else None

    def __len__(self) -> int:
        """How many entries there are."""
        return len(self._slots)

    @property
    def limits(self) -> tuple[int, int]:
        """The most bytes and the most entries that it may have at present."""
        return self._max_size, self._max_items

    def statistics(self) -> MemoryStatistics:
        """How it stands."""
        return MemoryStatistics(len(self._slots), self._size, self._evictions, self._policy.statistics())

    def get(self, key: str) -> Entry | None:
        """The entry of `key`, fresh or stale; one that nobody may use any more is dropped."""
        slot = self._slots.get(key)
        if slot is None:
            self.meter.misses += 1
            if self._recorder is not None:
                self._recorder.miss(key, self._clock())
            return None
        now = self._clock()
        entry = slot.entry
        if now >= slot.fresh_here_until:
            entry = slot.seen_at(now)
            if now >= entry.usable_until:
                self._remove(slot)
                self.meter.misses += 1
                if self._recorder is not None:
                    self._recorder.miss(key, now)
                return None
        self.use(slot, now)
        return entry

    def held(self, key: str) -> Slot | None:
        """Where the entry of `key` is kept, whatever has become of it; neither counted nor used."""
        return self._slots.get(key)

    def use(self, slot: Slot, now: float) -> None:
        """Count a hit of what `held` gave just before, and use it as `get` does."""
        self._note_read(slot)
        self.meter.hits += 1
        recorder = self._recorder
        if recorder is not None and slot.noted < recorder.tick:
            slot.noted = recorder.hit(slot.key, now, slot.cost, slot.priority, slot.usable_until)

    def attach(self, slot: Slot, made: object, size: int) -> None:
        """Keep with the entry in `slot` what was made of it, which takes `size` bytes.

        Others may have to go for it, and where it is the least of them the entry itself: `slot` is not to be used then.
        What there is no room for beside its entry is not kept.
        """
        fits = cost_of(slot.key, slot.entry) + size <= self._max_size
        slot.made = made if fits else None
        self._resize_slot(slot, size if fits else 0)
        self._make_room()

    def peek(self, key: str) -> Entry | None:
        """The entry of `key`, without counting or using it."""
        slot = self._slots.get(key)
        return None if slot is None else slot.seen_at(self._clock())

    def entries(self, pattern: str = "*", after: str = "") -> list[tuple[str, Entry]]:
        """Every entry whose key matches the glob `pattern`, by key, from behind `after` on."""
        glob, now = Glob(pattern), self._clock()
        keys = sorted(key for key in self._slots if key > after and glob.matches(key))
        return [(key, self._slots[key].seen_at(now)) for key in keys]

    def put(self, key: str, entry: Entry) -> None:
        """Keep `entry`, giving up others where there is no room; one that can't fit is not kept."""
        cost = cost_of(key, entry)
        slot = self._slots.get(key)
        if cost > self._max_size:
            if slot is not None:
                self._remove(slot)
            return
        now = self._clock()
        fresh_here_until = min(entry.fresh_until, now + self._ttl)
        if slot is None:
            slot = self._slots[key] = Slot(key, entry, cost, fresh_here_until)
            self._size += cost
            self._policy.admit(slot)
        else:
            self._size += cost - slot.cost
            self._policy.update(slot, cost, entry.priority)
            slot.entry, slot.fresh_here_until, slot.made = entry, fresh_here_until, None
        if self._recorder is not None:
            slot.noted = self._recorder.put(key, now, cost, entry.priority, slot.usable_until)
        self.meter.writes += 1
        self._make_room()

    def purge(self, selector: Selector, *, soft: bool = False) -> int:
        """Forget the selected entries, or only make them stale; how many there were. One pass over all keys."""
        selected = [slot for key, slot in self._slots.items() if selector.matches(key, slot.entry.tags)]
        now = self._clock()
        for slot in selected:
            if soft:
                slot.entry, slot.fresh_here_until, slot.made = slot.entry.made_stale(now), now, None
                self._resize_slot(slot, 0)
            else:
                self._remove(slot)
        if self._recorder is not None and not soft:
            self._recorder.purge(None if selector.kind == "all" else [slot.key for slot in selected])
        return len(selected)

    def give_up_least(self) -> int:
        """Forget what nobody may use any more, and all of low priority; how many there were. One pass over all keys."""
        now = self._clock()
        least = [
            slot
            for slot in self._slots.values()
            if slot.entry.priority is Priority.LOW or now >= slot.seen_at(now).usable_until
        ]
        for slot in least:
            self._remove(slot)
        return len(least)

    def adjust(self, section: MemorySection) -> None:
        """Take what another section says anew while in use; the algorithm stays, and so do limits that `resize` set."""
        self._ttl = section.ttl
        said = section.max_size, section.max_items
        if said != self._said:
            self._said = said
            self.resize(*said)

    def resize(self, max_size: int, max_items: int) -> None:
        """Take new limits while in use; what has no room any more is given up now."""
        self._max_size, self._max_items = max_size, max_items
        self._policy.resize(max_items, max_size)
        self._make_room()
        if self._recorder is not None:
            self._recorder.resize(max_size, max_items)

    def curve(self) -> Curve | None:
        """The hit rate at other sizes, by the requests so far; None where the profile turned that off."""
        return None if self._recorder is None else self._recorder.curve(self._clock())

    def _make_room(self) -> None:
        while self._size > self._max_size or len(self._slots) > self._max_items:
            victim = self._policy.victim()
            del self._slots[victim.key]
            self._size -= victim.cost
            self._evictions += 1

    def _resize_slot(self, slot: Slot, beside: int) -> None:
        """Count the entry's cost anew, with `beside` bytes of what was made of it."""
        cost = cost_of(slot.key, slot.entry) + beside
        self._size += cost - slot.cost
        self._policy.update(slot, cost, slot.entry.priority)

    def _remove(self, slot: Slot) -> None:
        self._policy.remove(slot)
        del self._slots[slot.key]
        self._size -= slot.cost


def cost_of(key: str, entry: Entry) -> int:
    """Bytes that an entry counts as, in steps of 64, as memory is handed out; small costs are shared integers."""
    tags = sum(map(sys.getsizeof, entry.tags)) if sum(map(len, entry.tags)) >= LONG_TAGS else 0
    step = -(-(len(entry.payload) + sys.getsizeof(key) + tags + OVERHEAD) // 64)
    return _COSTS[step] if step < len(_COSTS) else step * 64


def _policy(section: MemorySection) -> EvictionPolicy[Slot]:
    match section.algorithm:
        case "lru":
            return Lru(section.max_items, section.max_size)
        case "adaptive":
            return Adaptive(section.max_items, section.max_size)
        case _:
            assert_never(section.algorithm)


def _recorder(section: MemorySection, meter: TierMeter) -> Recorder:
    match section.algorithm:
        case "lru":
            return Recorder(Lru[TwinNode], meter, section.max_items, section.max_size)
        case "adaptive":
            order = partial(Adaptive[TwinNode], sample=_TWIN_SAMPLE)
            return Recorder(order, meter, section.max_items, section.max_size, price=_ADAPTIVE_PRICE)
        case _:
            assert_never(section.algorithm)
