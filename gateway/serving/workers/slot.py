"""One place in the fleet, as the supervisor sees it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from typing import Any

import httpx2

from gateway.errors import GatewayError
from gateway.pipeline.invalidation import Selector
from gateway.profile.loader import Loaded
from gateway.serving.workers.numbers import Numbers

_MISSED = 1000
"""Purges that are remembered for a worker that is not there."""


@dataclass(slots=True)
class Worker:
    """One place in the fleet, whichever process has it."""

    number: int
    http: httpx2.AsyncClient
    process: subprocess.Popen[bytes] | None = None
    greeted: bool = False
    """Whether it has said that it is about to serve: from then on it hears of purges."""
    serves: bool = False
    """Whether it has answered since it was started."""
    started_on: Loaded | None = None
    """The profile that it was started with, or has taken since."""
    restarts: int = 0
    started_at: float = 0.0
    numbers: Numbers = field(default_factory=Numbers)
    heard_at: float = 0.0
    """When it last answered, by the event loop's clock."""
    missed: list[tuple[Selector, bool]] = field(default_factory=list)
    """Purges that it has still to hear of, before anybody asks it anything."""

    def miss(self, selector: Selector, *, soft: bool) -> None:
        """Note a purge that it has still to hear of; of too many, that it has to purge everything."""
        self.missed.append((selector, soft))
        if len(self.missed) > _MISSED:
            self.missed[:] = [(Selector("all"), False)]

    @property
    def pid(self) -> int | None:
        """Of its process; None while there is none."""
        return self.process.pid if self.process is not None and self.process.poll() is None else None

    async def ask(self, method: str, path: str, **more: Any) -> httpx2.Response:
        """Its answer to a request. Raises GatewayError where it has none."""
        try:
            return await self.http.request(method, path, **more)
        except httpx2.HTTPError as error:
            raise GatewayError(f"worker {self.number} does not answer: {error or type(error).__name__}") from error
