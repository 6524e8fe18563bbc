"""How many requests an upstream is sent in a time."""

from __future__ import annotations

import trio

from gateway.profile.upstreams.policies import RateLimit


class TokenBucket:
    """A token bucket: at most `max` requests at once, refilled evenly at `max` a `window`.

    It is kept as one number, the time at which the bucket will be full again, and not as a count of tokens: nothing
    has to be refilled, no rounding error adds up, and the moment of the next token is known exactly. That is the
    virtual scheduling form of the generic cell rate algorithm (ITU-T I.371, annex A), which admits the same requests
    as the bucket does.
    """

    def __init__(self, section: RateLimit) -> None:
        self._interval = section.window / section.max
        self._slack = self._interval * (section.max - 1)
        self._full_at = float("-inf")
        # Fair, so that nobody starves. Waiting in a queue and not on a reservation: one who gives up takes no turn.
        self._turn = trio.StrictFIFOLock()

    def take_nowait(self, now: float) -> float:
        """Take a token and return `now`; or take none and return the later time at which there is one."""
        full_at = max(self._full_at, now)
        ready = full_at - self._slack
        if ready > now:
            return ready
        self._full_at = full_at + self._interval
        return now

    async def take(self) -> None:
        """Take a token, in order of arrival, as soon as there is one. Cancelling takes none."""
        async with self._turn:
            now = trio.current_time()
            ready = self.take_nowait(now)
            if ready > now:
                await trio.sleep_until(ready)
                self.take_nowait(max(ready, trio.current_time()))
