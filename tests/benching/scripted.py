"""A subject that takes the time that a test says, without taking any."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio

from gateway.benching.model import Iteration, Subject


@dataclass
class Script:
    """Says how long each iteration took, by its number, and keeps what has happened."""

    takes: Callable[[int], float] = float
    iterations: int = 0
    folders: list[Path] = field(default_factory=list)
    closed: int = 0

    @asynccontextmanager
    async def open(self, folder: Path) -> AsyncIterator[Iteration]:
        self.folders.append(folder)

        async def iterate() -> float:
            await trio.lowlevel.checkpoint()
            self.iterations += 1
            return self.takes(self.iterations)

        try:
            yield iterate
        finally:
            self.closed += 1


def subject(name: str = "a", script: Script | None = None, *, operations: int = 1, share: int = 1) -> Subject:
    return Subject(name, f"what {name} is", (script or Script()).open, operations, share)
