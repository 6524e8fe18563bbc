"""How many requests to an upstream are under way at once, and how many may wait for that."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from gateway.errors import UpstreamNotAsked
from gateway.profile.units import format_duration
from gateway.profile.upstreams.policies import Politeness


class Slots:
    """`max_concurrent` slots, and a queue of at most `max_queue` requests that wait for one, first come, first served.

    How many there are can be changed while they are in use (`resize`).

    `connections` is how many requests can be under way for other reasons: where that is less, it is the limit, so that
    who waits for a connection waits here, where it is bounded and counts for no try.
    """

    def __init__(self, upstream: str, section: Politeness, connections: int | None = None) -> None:
        self._upstream = upstream
        self._limit, self.key = section.max_concurrent, "max_concurrent"
        if connections is not None and connections < self._limit:
            self._limit, self.key = connections, "pool.max_connections"
        self.start = self._limit
        """How many slots there are as the profile has it."""
        self._moved = ""
        self._max_queue = section.max_queue
        self._queue_timeout = section.queue_timeout
        # Held by tokens and not by tasks: one task may ask for several documents.
        self._limiter = trio.CapacityLimiter(self._limit)
        self.waits = 0
        """Requests that had to wait for a slot, since the start."""

    @property
    def limit(self) -> int:
        """How many slots there are."""
        return self._limit

    def resize(self, limit: int) -> None:
        """So many slots from now on, at least one. Who has one keeps it, also where there are fewer then."""
        self._moved = ", moved by [scaling]" if limit != self.start else ""
        self._limit = limit
        self._limiter.total_tokens = limit

    @property
    def under_way(self) -> int:
        """Slots that are taken."""
        return self._limiter.borrowed_tokens

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return self._limiter.statistics().tasks_waiting

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """A slot for the block, in order of arrival.

        Raises UpstreamNotAsked at once when the queue is full, and after `queue_timeout` in it. Cancelling leaves the
        queue. A checkpoint only where it has to wait; whoever asks an upstream has others.
        """
        slot = self.take_nowait() or await self._wait()
        try:
            yield
        finally:
            self.release(slot)

    def take_nowait(self) -> object | None:
        """A slot, to be given back by `release`; None when there is none, or others wait for it."""
        holder = object()
        try:
            self._limiter.acquire_on_behalf_of_nowait(holder)
        except trio.WouldBlock:
            return None
        return holder

    def release(self, slot: object) -> None:
        """Give back what `take_nowait` gave."""
        self._limiter.release_on_behalf_of(slot)

    async def _wait(self) -> object:
        own = f"upstreams.{self._upstream}"
        if self.waiting >= self._max_queue:
            queue = f"{self._max_queue} wait already" if self._max_queue else "none may wait"
            raise UpstreamNotAsked(
                self._upstream,
                f"not asked, it is busy: {self._limit} requests are under way ({own}.{self.key}{self._moved}) "
                f"and {queue} ({own}.max_queue)",
            )
        self.waits += 1
        timeout = self._queue_timeout
        with trio.move_on_after(float("inf") if timeout is None else timeout):
            slot = object()
            await self._limiter.acquire_on_behalf_of(slot)
            return slot
        raise UpstreamNotAsked(
            self._upstream,
            f"not asked, it is busy: {self._limit} requests were under way ({own}.{self.key}{self._moved}) "
            f"for all of {format_duration(timeout or 0)} ({own}.queue_timeout)",
        )
