"""What a supervisor gives a worker: its number, its sockets and its profile."""

from __future__ import annotations

import os
import pickle
import socket
from collections.abc import MutableMapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import orjson
import trio

from gateway.errors import StartError
from gateway.profile.loader import Loaded
from gateway.serving.sockets import bind_paths
from gateway.serving.systemd.passed import Passed

VARIABLE = "GATEWAY_WORKER"
"""What tells a process that it is a worker, and how."""
_PATIENCE = 60.0
"""Seconds for the supervisor to answer."""


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
        import httpx2  # which no other process needs before its profile is loaded

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
