"""A worker's side: what the other workers are told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx2

from gateway.errors import StartError, TierError
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.pipeline import Pipeline
from gateway.serving.workers.place import VARIABLE

_PATIENCE = 60.0
"""Seconds for the other workers to purge."""


class Siblings:
    """Tells the other workers of purges, by way of the supervisor; open as long as the block runs."""

    def __init__(self, client: httpx2.AsyncClient, number: int) -> None:
        self._client = client
        self._number = number

    def publish(self, selector: Selector, *, soft: bool) -> Callable[[], Awaitable[None]]:
        """Tell all of them of a purge; to be awaited. Raises TierError where one could not be told."""

        async def tell() -> None:
            try:
                answer = await self._client.post("/purge", json={**purge_of(selector, soft), "by": self._number})
            except httpx2.HTTPError as error:
                raise TierError(
                    f"purged in this worker, but not in the others: {error or type(error).__name__}"
                ) from error
            if answer.is_error:
                raise TierError(f"purged in this worker, but not in all others: {answer.json()['error']}")

        return tell

    async def catch_up(self, pipeline: Pipeline) -> None:
        """Say that this worker is about to serve, and purge what was purged meanwhile. Raises StartError."""
        try:
            answer = await self._client.post("/hello", json={"number": self._number})
        except httpx2.HTTPError as error:
            raise StartError(f"{VARIABLE}: the supervisor does not answer: {error or type(error).__name__}") from error
        for told in answer.json()["missed"]:
            await pipeline.purged_elsewhere(*selector_of(told))


def purge_of(selector: Selector, soft: bool) -> dict[str, Any]:  # as the pipeline has it
    """A purge as it is told."""
    return {"kind": selector.kind, "value": selector.value, "soft": soft}


def selector_of(told: dict[str, Any]) -> tuple[Selector, bool]:
    """What `purge_of` told."""
    return Selector(told["kind"], told["value"]), bool(told["soft"])


def client_of(path: str) -> httpx2.AsyncClient:
    """A client of what listens on a Unix socket, to be closed by the caller."""
    transport = httpx2.AsyncHTTPTransport(uds=path)
    return httpx2.AsyncClient(transport=transport, base_url="http://localhost", trust_env=False, timeout=_PATIENCE)
