"""What the tests of the disk tier share: a tier on a real file, entries, and a crash."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio
import trio_asyncio

from gateway.pipeline.clock import Clock
from gateway.pipeline.freshness import new_entry
from gateway.pipeline.model import Entry, Policy, Priority
from gateway.profile.tiers import DiskTier as DiskSection
from gateway.tiers.disk import DiskTier, open_disk

POLICY = Policy("s", ttl=1000, stale_while_revalidate=50)


@asynccontextmanager
async def opened(path: Path, clock: Clock | None = None, **section: object) -> AsyncIterator[DiskTier]:
    """A disk tier on the real file, with its service running."""
    about = DiskSection.model_validate({"path": str(path), **section})
    async with (
        trio_asyncio.open_loop(),
        open_disk(about, clock or Clock()) as disk,
        trio.open_nursery() as services,
    ):
        await services.start(disk.run)
        yield disk
        services.cancel_scope.cancel()


def set_aside(folder: Path) -> list[Path]:
    return [path for path in folder.glob("cache.db.damaged-*") if not path.name.endswith(("-wal", "-shm"))]


def entry(
    payload: bytes = b"payload", tags: tuple[str, ...] = (), age: float = 0.0, priority: Priority = Priority.MEDIUM
) -> Entry:
    policy = Policy("s", ttl=1000, stale_while_revalidate=50, priority=priority)
    return new_entry(payload, policy, Clock()() - age, tags=tags)


def crashed(path: Path, to: Path) -> Path:
    """What a kill at this moment would leave of the file, as a file of its own."""
    for suffix in ("", "-wal"):
        source = path.with_name(path.name + suffix)
        if source.exists():
            shutil.copyfile(source, to.with_name(to.name + suffix))
    return to


class Wall:
    """A wall clock that is set by hand."""

    def __init__(self, now: float = 2e9) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def _spoil(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        for page in range(size // 2, size - 4096, 4096):
            file.seek(page)
            file.write(b"\xff" * 200)


async def make_damaged(path: Path) -> None:
    """A file of many rows that opens, and of which half can't be read."""
    async with opened(path) as disk:
        await disk.put({f"k{number}": entry(os.urandom(1500)) for number in range(8000)})
        await disk.finish_chores()
    _spoil(path)
