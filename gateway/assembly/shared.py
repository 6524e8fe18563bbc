"""Opens the tier that several instances share, and what is shared beside it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from gateway.assembly.nurseries import cancelled_at_the_end, finished_at_the_end
from gateway.errors import StartError
from gateway.pipeline.clock import Clock
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.metered import Metered
from gateway.pipeline.pipeline import Pipeline
from gateway.profile.profile import Profile
from gateway.profile.upstreams.policies import RateLimit
from gateway.profile.workers import of_all
from gateway.telemetry.telemetry import Telemetry
from gateway.upstream.policies import Policies
from gateway.upstream.policies.rate import Bucket, ReportedBucket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from gateway.tiers.disk import DiskTier
    from gateway.tiers.shared.leases import Leases
    from gateway.tiers.shared.rates import ClientRates
    from gateway.tiers.shared.tier import SharedTier

# What only some profiles need is imported where it is opened: a gateway over stdio starts with its agent.


@dataclass(frozen=True, slots=True)
class SharedParts:
    """What one gateway shares with others."""

    tier: SharedTier
    leases: Leases
    rates: ClientRates | None
    services: trio.Nursery
    workers: int = 1
    """How many have a part of each upstream's rate, as this process has."""

    def bucket(self, kind: str, name: str, limit: RateLimit) -> Bucket:
        """The token bucket of a client or an address."""
        if self.rates is None:
            return Bucket(limit)
        return ReportedBucket(limit, self.rates.key(kind, name), self.rates.took)


def require_shared(profile: Profile) -> None:
    """Raises StartError where the profile has a shared tier and the extra `shared` is not installed."""
    if not profile.cache.shared.enabled:
        return
    try:
        import gateway.tiers.shared.link  # noqa: F401
    except ModuleNotFoundError as error:
        raise StartError(
            "cache.shared.enabled needs the extra `shared`, "
            f"{error.name} is not installed: pip install 'gateway[shared]'"
        ) from error


@asynccontextmanager
async def open_shared(
    profile: Profile, disk: DiskTier | None, clock: Clock, telemetry: Telemetry, workers: int = 1
) -> AsyncIterator[SharedParts | None]:
    """The shared tier, to be connected by `connect`; None where the profile has none.

    `profile` is that of one of so many `workers`.

    Opened before what loads, and closed after it: leases are given up on the way out.
    """
    section = profile.cache.shared
    if not section.enabled:
        yield None
        return
    from gateway.tiers.shared.leases import Leases
    from gateway.tiers.shared.rates import ClientRates
    from gateway.tiers.shared.tier import SharedTier

    tier = SharedTier(section, clock, profile.cache.pool_size, telemetry, known=beside(disk))
    async with cancelled_at_the_end() as services, finished_at_the_end() as writes:
        leases = Leases(tier, Metered(tier, telemetry), telemetry.leases, writes)
        rates = ClientRates(tier.link, tier.names) if section.rate_limits else None
        yield SharedParts(tier, leases, rates, services, workers)


async def connect(shared: SharedParts | None, pipeline: Pipeline) -> None:
    """Connect, and catch up with what was purged meanwhile, before anything is served; the engine may be down."""
    if shared is None:
        return
    shared.tier.purging.apply = pipeline.purged_elsewhere
    await shared.services.start(shared.tier.run)
    if shared.rates is not None:
        await shared.services.start(shared.rates.run)


def share_with(shared: SharedParts | None, profile: Profile, policies: Mapping[str, Sequence[Policies]]) -> None:
    """Share what a profile says of its upstreams: their rates, and not what is on this machine."""
    if shared is None:
        return
    shared.tier.local |= {f"upstream:{name}" for name, each in profile.upstreams.items() if each.type == "files"}
    if shared.rates is None:
        return
    from gateway.tiers.shared.rates import SharedRate

    for name, parts in policies.items():
        for number, each in enumerate(parts):
            make = partial(SharedRate, shared.tier.link, shared.tier.names, f"{name}/{number}")
            each.share(lambda part, make=make: make(of_all(part, shared.workers)))  # type: ignore[misc]


async def change_disk(shared: SharedParts | None, before: DiskTier | None, after: DiskTier | None) -> None:
    """Another disk tier is to be used: nobody knows what was purged since its file was last in use, so all of it is.

    Raises TierError when that can't be done.
    """
    if shared is not None and after is not None and after is not before:
        await after.purge(Selector("all"))


def beside(disk: DiskTier | None) -> Path | None:
    """Where what is known of purges is kept."""
    return None if disk is None else Path(f"{disk.file.path}.purges")
