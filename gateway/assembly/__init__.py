"""The only opener: from a profile to a running gateway, and back. Keep it a list of openings."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from gateway.assembly.core import open_core
from gateway.assembly.gateway import Gateway
from gateway.assembly.generation import open_generation, working
from gateway.profile.loader import Loaded
from gateway.profile.profile import Profile

__all__ = ["Gateway", "open_gateway"]


@asynccontextmanager
async def open_gateway(
    profile: Profile, environ: Mapping[str, str] = os.environ, *, ahead: bool = True, loaded: Loaded | None = None
) -> AsyncIterator[Gateway]:
    """A gateway made of `profile`, running until the block ends.

    Closing stops the services, cancels the loads under way, closes the upstreams, waits for what was brought to be
    written, and closes the tiers, in that order. What can't be opened but can be done without (the disk tier) is
    logged. `ahead` is whether to do what nobody asks for: to warm, to look for new releases, to watch itself. `loaded`
    is where the profile comes from.
    """
    async with open_core(profile, environ) as core, open_generation(core, core.tiers, profile, loaded) as gateway:
        try:
            async with working(core, gateway, ahead=ahead):
                yield gateway
        finally:
            core.loads.cancel_scope.cancel()  # before what they use is closed
