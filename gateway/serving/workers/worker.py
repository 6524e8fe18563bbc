"""A worker's side: what the supervisor gives it and is answered, and what the other workers are told."""

from __future__ import annotations

import os
import pickle
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import httpx2
import orjson
import trio
from quart import Blueprint, Response, request
from quart_schema import hide

from gateway.assembly import Gateway
from gateway.errors import StartError, TierError
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.pipeline import Pipeline
from gateway.profile.loader import Loaded
from gateway.serving.sockets import bind_paths
from gateway.serving.systemd.passed import Passed
from gateway.serving.workers.numbers import numbers_of

VARIABLE = "GATEWAY_WORKER"
"""What tells a process that it is a worker, and how."""
_PATIENCE = 60.0
"""Seconds for the other workers to purge."""


@dataclass(frozen=True, slots=True)
class Place:
    """What one worker is given; the numbers are file descriptors."""

    number: int
    """From 1 on."""
    workers: int
    """How many there are."""
    folder: str
    """Where it and the supervisor have their Unix sockets; nobody else may enter."""
    mcp: tuple[int, ...]
    """The sockets that all workers accept from."""
    alive: int
    """A pipe that ends with the supervisor."""
    credential: str
    """What the supervisor asks with, as its watchdog does."""

    @property
    def path(self) -> str:
        """The socket of this worker's admin site."""
        return worker_path(self.folder, self.number)

    def told(self) -> str:
        """As the environment has it."""
        return orjson.dumps(asdict(self)).decode()

    def loaded(self, which: Literal["started", "reloaded"]) -> Loaded:
        """The profile that the supervisor has: to start with, or to reload.

        The files may say something else by now, which nobody has asked for. Blocks. Raises StartError.
        """
        transport = httpx2.HTTPTransport(uds=hub_path(self.folder))
        try:
            with httpx2.Client(transport=transport, trust_env=False, timeout=_PATIENCE) as client:
                answer = client.get(f"http://localhost/profile/{which}").raise_for_status()
            loaded: Loaded = pickle.loads(answer.content)  # noqa: S301  # nobody but the supervisor is in its folder
        except Exception as error:  # also whatever a class that an upgrade has changed makes of it
            raise StartError(f"{VARIABLE}: no profile of the supervisor ({error}); restart the gateway") from error
        return loaded

    def passed(self) -> list[Passed]:
        """What this worker listens on. Raises StartError."""
        for descriptor in (*self.mcp, self.alive):
            os.set_inheritable(descriptor, False)
        found = [Passed(socket.socket(fileno=descriptor), "mcp") for descriptor in self.mcp]
        (admin,) = bind_paths("server.workers", [self.path], 0o600)
        return [*found, Passed(admin, "admin")]

    async def wait_orphaned(self) -> None:
        """Wait until the supervisor is no more."""
        await trio.lowlevel.wait_readable(self.alive)


def place_of(environ: MutableMapping[str, str]) -> Place | None:
    """What `environ` says, which is taken out of it; None for a process that is no worker. Raises StartError."""
    told = environ.pop(VARIABLE, "")
    if not told:
        return None
    try:
        parts: dict[str, Any] = orjson.loads(told)
        return Place(**{**parts, "mcp": tuple(parts["mcp"])})
    except (ValueError, TypeError, KeyError) as error:
        raise StartError(f"{VARIABLE}: is set by a gateway for its workers, and by nobody else; unset it") from error


def worker_path(folder: str, number: int) -> str:
    """The socket of a worker's admin site."""
    return str(Path(folder) / f"worker-{number}.sock")


def hub_path(folder: str) -> str:
    """The socket at which the supervisor hears of purges."""
    return str(Path(folder) / "supervisor.sock")


def own_routes(gateway: Gateway) -> Blueprint:
    """What only the supervisor asks for: `/worker/…` of the admin site, on a socket that only it can reach."""
    routes = Blueprint("worker", __name__, url_prefix="/worker")

    @routes.get("/numbers")
    @hide
    async def numbers() -> Response:
        return Response(await numbers_of(gateway), mimetype="application/msgpack")

    @routes.post("/purge")
    @hide
    async def purge() -> tuple[dict[str, Any], int]:
        """A purge of another worker, or of the supervisor's caller."""
        told = await request.get_json()
        selector, soft = selector_of(told)
        pipeline = gateway.pipeline
        try:
            if told.get("publish"):  # to other instances; the supervisor tells the other workers
                return {"purged": await pipeline.purge(selector, soft=soft, siblings=False)}, 200
            return {"purged": await pipeline.purged_elsewhere(selector, soft)}, 200
        except TierError as error:
            return {"error": str(error)}, 503

    return routes


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
