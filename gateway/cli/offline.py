"""The admin API where no gateway runs: of one that is opened for the command."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import httpx2
import trio

from gateway.assembly import Gateway, open_gateway
from gateway.cli.admin import Admin
from gateway.errors import GatewayError
from gateway.profile.profile import Profile
from gateway.serving.admin.site import build_site
from gateway.tiers.disk_export import export, import_
from gateway.watch.warmer import Progress


@dataclass(frozen=True, slots=True)
class Offline(Admin):
    """The same, of a gateway in this process: what is long or large does not go through its site."""

    gateway: Gateway

    async def warm(self, report: Callable[[Progress], None]) -> Progress:
        """Make the calls of `[warm]`, telling each step; how it went."""
        return await self.gateway.warmer.warm(report)

    async def export(self, to: Path) -> None:
        """Write every usable entry to a file, which appears under its name once it is complete."""
        if self.gateway.disk is None:
            await Admin.export(self, to)
        else:
            await export(self.gateway.disk, to)

    async def import_(self, source: Path) -> dict[str, Any]:
        """Bring the entries of an export in; how many there were of each kind."""
        if self.gateway.disk is None:
            return await Admin.import_(self, source)
        return asdict(await import_(self.gateway.disk, source))


@asynccontextmanager
async def open_offline(profile: Profile) -> AsyncIterator[Offline]:
    """The admin API of a gateway on the profile's cache file; raises GatewayError when that can't be opened."""
    async with open_gateway(profile, ahead=False) as gateway:
        if gateway.disk is None and profile.cache.disk.enabled:  # or an empty memory would be taken for the cache
            raise GatewayError(
                f"can't use {profile.cache.disk.path}; if a gateway has it open, --url says where its admin site is"
            )
        transport = httpx2.ASGITransport(app=cast("Any", build_site(gateway, trio.Event())))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost", timeout=None) as http:
            yield Offline(profile.cache.disk.path, http, gateway)
