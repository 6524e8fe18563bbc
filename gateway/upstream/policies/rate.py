"""How many requests an upstream is sent in a time."""

from __future__ import annotations

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


class TokenBucket(Bucket):
    """A bucket of one upstream, whose tokens can be waited for."""

    __slots__ = ("_turn", "_upstream")

    def __init__(self, upstream: str, section: RateLimit) -> None:
        super().__init__(section)
        self._upstream = upstream
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
            raise UpstreamNotAsked(
                self._upstream,
                f"not asked: its next turn would be in {format_duration(max(0.1, round(wait, 1)))}, which is too late "
                f"(upstreams.{self._upstream}.rate_limit)",
            )
        async with self._turn:
            now = trio.current_time()
            ready = self.take_nowait(now)
            if ready > now:
                await trio.sleep_until(ready)
                self.take_nowait(max(ready, trio.current_time()))
