"""What runs: one object that everything that serves stands on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from gateway.catalogue.catalogue import Catalogue
from gateway.pipeline.pipeline import Pipeline
from gateway.profile.loader import Loaded
from gateway.profile.profile import Profile
from gateway.profile.upstreams.policies import RateLimit
from gateway.tiers.memory import MemoryTier
from gateway.upstream.policies.rate import Bucket
from gateway.watch.changes import Changes
from gateway.watch.warmer import Warmer
from gateway.watch.watching import Watching

if TYPE_CHECKING:
    from gateway.assembly.shared import SharedParts
    from gateway.tiers.disk import DiskTier
    from gateway.tiers.shared.tier import SharedTier

# What only some profiles need is imported where it is opened: a gateway over stdio starts with its agent.


class Users:
    """The requests that a gateway answers at the moment: each enters and leaves; nothing is closed under them."""

    __slots__ = ("_count", "_none")

    def __init__(self) -> None:
        self._count = 0
        self._none = trio.Event()

    def __enter__(self) -> None:
        """One more."""
        self._count += 1

    def __exit__(self, *_: object) -> None:
        """One less."""
        self._count -= 1
        if not self._count:
            self._none.set()

    async def wait_none(self) -> None:
        """Wait until there is none."""
        while self._count:
            self._none = trio.Event()
            await self._none.wait()


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that runs: everything that serves stands on it."""

    profile: Profile
    catalogue: Catalogue
    pipeline: Pipeline
    memory: MemoryTier | None
    disk: DiskTier | None
    warmer: Warmer
    changes: Changes
    watching: Watching
    loaded: Loaded | None = None
    """How the profile came to be, where it was loaded from files."""
    shared: SharedParts | None = None
    """What is shared with other instances."""
    users: Users = field(default_factory=Users)
    """Whoever waits for an answer of this gateway."""

    def bucket(self, kind: str, name: str, limit: RateLimit) -> Bucket:
        """The token bucket of a client or an address, of all instances together where they share their limits."""
        return Bucket(limit) if self.shared is None else self.shared.bucket(kind, name, limit)

    @property
    def ready(self) -> bool:
        """Whether requests are welcome, as `server.ready_after` has it."""
        return self.profile.server.ready_after == "start" or self.warmer.warmed.is_set()

    @property
    def tiers(self) -> tuple[str, ...]:
        """The tiers that are in use, fastest first."""
        return tuple(tier.name for tier in (self.memory, self.disk, self._shared_tier) if tier is not None)

    @property
    def _shared_tier(self) -> SharedTier | None:
        return None if self.shared is None else self.shared.tier
