"""How many requests an upstream is sent in a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import trio

from gateway.errors import UpstreamNotAsked
from gateway.profile.units import format_duration
from gateway.profile.upstreams.policies import RateLimit


class Bucket:
    """A token bucket: at most `max` requests at once, refilled evenly at `max` a `window`. Pure: it is told the time.

    It is kept as one number, the time at which the bucket will be full again, and not as a count of tokens: nothing
    has to be refilled, no rounding error adds up, and the moment of the next token is known exactly. That is the
    virtual scheduling form of the generic cell rate algorithm (ITU-T I.371, annex A), which admits the same requests
    as the bucket does.
    """

    __slots__ = ("_full_at", "_interval", "_slack")

    def __init__(self, section: RateLimit) -> None:
        self._interval = section.window / section.max
        self._slack = self._interval * (section.max - 1)
        self._full_at = float("-inf")

    def take_nowait(self, now: float) -> float:
        """Take a token and return `now`; or take none and return the later time at which there is one."""
        full_at = max(self._full_at, now)
        ready = full_at - self._slack
        if ready > now:
            return ready
        self._full_at = full_at + self._interval
        return now


class ReportedBucket(Bucket):
    """A bucket from which others take as well, elsewhere: what was taken here is reported now and then.

    `took` is told of each token; whoever reports them calls `report`, and then `learn`.
    """

    __slots__ = ("_taken", "_took", "key", "section")

    def __init__(self, section: RateLimit, key: str, took: Callable[[ReportedBucket], None]) -> None:
        super().__init__(section)
        self.key = key
        self.section = section
        self._took = took
        self._taken = 0

    def take_nowait(self, now: float) -> float:
        """As of any bucket, by what was known of the others at the last report."""
        ready = super().take_nowait(now)
        if ready <= now:
            self._taken += 1
            self._took(self)
        return ready

    def report(self) -> int:
        """How many tokens were taken since the last report."""
        taken, self._taken = self._taken, 0
        return taken

    def learn(self, full_at: float) -> None:
        """The bucket is full again at `full_at`, by all reports so far."""
        self._full_at = full_at + self._taken * self._interval


class Elsewhere(Protocol):
    """The same limit, kept to by others as well."""

    async def wait(self, longest: float) -> float:
        """Reserve a token and tell the seconds until it may be used; none is reserved where that is over `longest`."""


class TokenBucket(Bucket):
    """A bucket of one upstream, whose tokens can be waited for."""

    __slots__ = ("_turn", "_upstream", "elsewhere")

    def __init__(self, upstream: str, section: RateLimit) -> None:
        super().__init__(section)
        self._upstream = upstream
        self.elsewhere: Elsewhere | None = None
        """What else has to allow it."""
        # Fair, so that nobody starves. Waiting in a queue and not on a reservation: one who gives up takes no turn.
        self._turn = trio.StrictFIFOLock()

    @property
    def waiting(self) -> int:
        """Requests that wait for a token."""
        queue = self._turn.statistics()
        return queue.tasks_waiting + queue.locked

    def try_take(self, now: float) -> bool:
        """Whether there was a token at `now` that nobody waits for; it is taken then."""
        return not self.waiting and self.take_nowait(now) == now

    async def take(self) -> None:
        """Take a token, in order of arrival, as soon as there is one. Cancelling takes none.

        Raises UpstreamNotAsked at once when, after those who wait already, it would come after the caller's deadline.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        now = trio.current_time()
        if self.try_take(now):  # one that need not wait is never counted as waiting
            await trio.lowlevel.cancel_shielded_checkpoint()
            return
        wait = max(self._full_at, now) + self.waiting * self._interval - self._slack - now
        if wait > 0 and now + wait > trio.current_effective_deadline():
            raise self._too_late(wait)
        async with self._turn:
            now = trio.current_time()
            ready = self.take_nowait(now)
            if ready > now:
                await trio.sleep_until(ready)
                self.take_nowait(max(ready, trio.current_time()))

    async def take_elsewhere(self) -> None:
        """Wait until others allow it, too; after `take`. Raises UpstreamNotAsked where that would be too late."""
        if self.elsewhere is None:
            return
        longest = trio.current_effective_deadline() - trio.current_time()
        wait = await self.elsewhere.wait(longest)
        if wait > longest:
            raise self._too_late(wait)
        await trio.sleep(wait)

    def _too_late(self, wait: float) -> UpstreamNotAsked:
        return UpstreamNotAsked(
            self._upstream,
            f"not asked: its next turn would be in {format_duration(max(0.1, round(wait, 1)))}, which is too late "
            f"(upstreams.{self._upstream}.rate_limit)",
        )
