"""What waits for the disk tier's connection: bounded, so that a slow disk costs entries and not memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import trio

from gateway.errors import TierError
from gateway.tiers.disk_batch import Job, Kind

MAX_JOBS = 10_000
"""Jobs that wait; beyond, the disk is too slow to be of use and requests go on without it."""
MAX_BYTES = 64_000_000
"""Bytes of entries that wait to be written, also while they are; one entry alone may be larger."""
_WRITES = (Kind.CHANGE, Kind.CHORE)


class JobQueue:
    """Jobs in the order in which they came. Full, it takes only what is durable: a purge is never given up."""

    def __init__(self) -> None:
        self.given_up = 0
        """Writes that found no place."""
        self._jobs: list[Job] = []
        self._queued = trio.Event()
        self._weight = 0
        self._held_back = False

    def __len__(self) -> int:
        return len(self._jobs)

    def append(self, job: Job) -> None:
        """Queue `job`. Raises TierError when there is no place for it."""
        problem = None if job.durable else self._refusal(job)
        if problem is not None:
            self.given_up += job.weight > 0
            raise TierError(problem)
        self._weight += job.weight
        self._jobs.append(job)
        self._queued.set()

    async def take(self) -> Sequence[Job]:
        """All that waits and is not held back, once there is something; each is to be `settle`d when it is done."""
        while True:
            await self._queued.wait()
            self._queued = trio.Event()
            jobs, self._jobs = self._jobs, []
            if self._held_back:
                jobs, self._jobs = _divided(jobs)
            if jobs:
                return jobs

    @contextmanager
    def writes_held_back(self) -> Iterator[None]:
        """Inside, what writes stays in the queue: it would have to wait for the disk, and reads behind it as well.

        Those go on, and find what there was before; but none overtakes a purge, whose entries must not come back.
        """
        self._held_back = True
        try:
            yield
        finally:
            self._held_back = False
            self._queued.set()

    def settle(self, job: Job) -> None:
        """`job` is done, however it went: who waits for it goes on, and there is room for others."""
        self._weight -= job.weight
        job.done.set()

    def _refusal(self, job: Job) -> str | None:
        if len(self._jobs) >= MAX_JOBS:
            return f"{MAX_JOBS} operations are waiting for the disk"
        if job.weight and self._weight and self._weight + job.weight > MAX_BYTES:
            return f"{self._weight} bytes are waiting to be written to the disk"
        return None


def _divided(jobs: Sequence[Job]) -> tuple[list[Job], list[Job]]:
    """Of queued jobs, those that are done while writes are held back, and those that wait with them."""
    ready: list[Job] = []
    waiting: list[Job] = []
    purged = False
    for job in jobs:
        purged = purged or job.durable
        waits = job.kind in _WRITES or (purged and job.kind is Kind.READ)
        (waiting if waits else ready).append(job)
    return ready, waiting
