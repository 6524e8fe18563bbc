"""The limits that can be moved while they are in use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import trio

from gateway.profile.profile import Profile
from gateway.profile.scaling import ScaledTier
from gateway.profile.tiers import MemoryTier as MemorySection
from gateway.tiers.memory import MemoryTier
from gateway.upstream.policies import Policies
from gateway.watch.scaling.model import Kind

if TYPE_CHECKING:
    from gateway.tiers.disk import DiskTier

_THREADS = 40
"""Worker threads that Trio starts with (`trio.to_thread.current_default_thread_limiter`)."""
_MOST_OF_START = 4
"""Times what a tier starts with, where no bound is set: as far as its miss-ratio curve looks."""


class Lever(Protocol):
    """One limit: how it is at present, what the profile has it start with, and its bounds."""

    key: str
    kind: Kind
    name: str
    """The tier or upstream; "threads"."""
    start: int
    least: int
    most: int
    enabled: bool
    """Whether the profile wants it moved."""

    @property
    def value(self) -> int:
        """The limit at present."""

    def move(self, value: int) -> None:
        """Set it, for whoever comes next: what is under way goes on."""


class MemoryLever:
    """The size of the memory tier; the number of its entries goes with it."""

    kind: Kind = "memory"
    name = "memory"
    key = "cache.memory.max_size"

    def __init__(self, tier: MemoryTier, section: MemorySection, scaled: ScaledTier) -> None:
        self.tier = tier
        self.start, self._items = section.max_size, section.max_items
        self.least, self.most = _bounds(scaled, self.start)
        self.enabled = scaled.enabled

    @property
    def value(self) -> int:
        """Bytes."""
        return self.tier.limits[0]

    def move(self, value: int) -> None:
        """What has no room any more is given up now."""
        items = self._items if value == self.start else max(1, round(self._items * value / max(1, self.start)))
        self.tier.resize(value, items)


class DiskLever:
    """The size of the disk tier."""

    kind: Kind = "disk"
    name = "disk"
    key = "cache.disk.max_size"

    def __init__(self, tier: DiskTier, start: int, scaled: ScaledTier) -> None:
        self.tier = tier
        self.start = start
        self.least, self.most = _bounds(scaled, start)
        self.enabled = scaled.enabled

    @property
    def value(self) -> int:
        """Bytes."""
        return self.tier.max_size

    def move(self, value: int) -> None:
        """The janitor sees to what is too much."""
        self.tier.resize(value)


class PoolLever:
    """How many requests to an upstream may be under way at once; to each host where those have policies apart."""

    kind: Kind = "pool"

    def __init__(self, name: str, policies: Sequence[Policies], profile: Profile) -> None:
        pools = profile.scaling.pools
        self.name = name
        self.slots = [each.slots for each in policies]
        first = self.slots[0]
        self.key = f"upstreams.{name}.{first.key}"
        self.start = first.start
        self.least = max(1, self.start // 2) if pools.min is None else pools.min
        self.most = self.start * 2 if pools.max is None else pools.max
        if pools.min is None:
            self.least = min(self.least, self.most)
        if pools.max is None:
            self.most = max(self.least, self.most)
        self.enabled = pools.enabled and name not in pools.leave

    @property
    def value(self) -> int:
        """Requests."""
        return self.slots[0].limit

    def move(self, value: int) -> None:
        """Who waits is let in where there are more; what is under way goes on where there are fewer."""
        for slots in self.slots:
            slots.resize(value)


class ThreadsLever:
    """The worker threads of whoever has none of its own; of this run of Trio."""

    kind: Kind = "threads"
    name = "threads"
    key = "scaling.threads"
    start = _THREADS

    def __init__(self, profile: Profile) -> None:
        threads = profile.scaling.threads
        self._limiter = trio.to_thread.current_default_thread_limiter()
        self.least, self.most = threads.min, threads.max
        self.enabled = threads.enabled

    @property
    def value(self) -> int:
        """Threads."""
        return int(self._limiter.total_tokens)

    def move(self, value: int) -> None:
        """Who waits gets one where there are more; what runs goes on where there are fewer."""
        self._limiter.total_tokens = value


def levers_of(
    profile: Profile, memory: MemoryTier | None, disk: DiskTier | None, policies: Mapping[str, Sequence[Policies]]
) -> tuple[Lever, ...]:
    """Every limit that a gateway of `profile` has, whether it is to be moved or not."""

    def found() -> Iterator[Lever]:
        if memory is not None:
            yield MemoryLever(memory, profile.cache.memory, profile.scaling.memory)
        if disk is not None:
            yield DiskLever(disk, profile.cache.disk.max_size, profile.scaling.disk)
        for name, each in policies.items():
            if each:
                yield PoolLever(name, each, profile)
        yield ThreadsLever(profile)

    return tuple(found())


def _bounds(scaled: ScaledTier, start: int) -> tuple[int, int]:
    """The bounds as they are said; one that is not said never contradicts the other."""
    least = start // 2 if scaled.min_size is None else scaled.min_size
    most = start * _MOST_OF_START if scaled.max_size is None else scaled.max_size
    if scaled.min_size is None:
        least = min(least, most)
    if scaled.max_size is None:
        most = max(least, most)
    return least, most
