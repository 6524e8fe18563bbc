"""Token buckets of all instances together: exact for upstreams, a step behind for clients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic
from typing import Protocol

import trio

from gateway.errors import TierError
from gateway.profile.upstreams.policies import RateLimit
from gateway.tiers.shared.link import Link
from gateway.tiers.shared.names import Names
from gateway.tiers.shared.scripts import RATE

_STEP = 0.1
"""Seconds between two reports of what clients have taken."""
_MOST = 10_000
"""Clients whose tokens are reported; a further one is limited here alone until the next report."""
_FOREVER = 1 << 52


class SharedRate:
    """The rate at which all instances together may ask one upstream.

    A token is reserved by one step of the engine, so the limit holds exactly, in order of arrival there. While the
    engine is down each instance keeps to its own bucket alone, which is asked first at all times.
    """

    def __init__(self, link: Link, names: Names, upstream: str, section: RateLimit) -> None:
        self._link = link
        self._key = names.bucket("upstream", upstream)
        self._interval, self._slack = _spaced(section)

    async def wait(self, longest: float) -> float:
        """Reserve a token and return how long to wait for it; or reserve none, where that is longer than `longest`."""
        room = min(_FOREVER, int(min(longest, 1e9) * 1_000_000))
        try:
            answer = await self._link.do(RATE, [self._key], self._interval, self._slack, 1, room)
        except TierError:  # told of by the tier itself
            return 0.0
        wait, _, too_long = map(int, answer)
        return (too_long if wait < 0 else wait) / 1_000_000


class Reported(Protocol):
    """A bucket that is decided by at once, and reported later."""

    key: str
    section: RateLimit

    def report(self) -> int:
        """How many tokens were taken since the last report."""

    def learn(self, full_at: float) -> None:
        """The bucket is full again at `full_at`, by the clock that its tokens are taken by."""


class ClientRates:
    """Reports what clients take, and learns what they took elsewhere. `run` is the service.

    Deciding on a request must not wait, so it is decided by what was known at the last report, at most 0.1 s ago: for
    so long each instance may let through what the bucket had then. What was taken too much is owed: from the next
    report on the bucket says so to all of them, and nothing is let through until that is made up for. `now` is the
    buckets' clock.
    """

    def __init__(self, link: Link, names: Names, now: Callable[[], float] = monotonic) -> None:
        self._link = link
        self._names = names
        self._now = now
        self._buckets: dict[str, Reported] = {}
        self._used = trio.Event()

    def took(self, bucket: Reported) -> None:
        """A token was taken from `bucket`, which is to be reported."""
        if len(self._buckets) < _MOST:
            self._buckets[bucket.key] = bucket
            self._used.set()

    def key(self, kind: str, name: str) -> str:
        """Where the bucket of a client or an address is kept."""
        return self._names.bucket(kind, name)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Report until cancelled."""
        task_status.started()
        while True:
            await self._used.wait()  # the first token after a while is reported at once
            buckets, self._buckets, self._used = self._buckets, {}, trio.Event()
            if self._link.up:
                await self._report(buckets)
            await trio.sleep(_STEP)

    async def _report(self, buckets: Mapping[str, Reported]) -> None:
        try:
            asked = []
            for bucket in buckets.values():
                interval, slack = _spaced(bucket.section)
                asked.append((bucket, self._link.ask(RATE, [bucket.key], interval, slack, bucket.report(), _FOREVER)))
            for bucket, each in asked:
                _, full_in, _ = map(int, await each.answer())
                bucket.learn(self._now() + full_in / 1_000_000)
        except TierError:  # told of by the tier itself; each instance limits for itself meanwhile
            return


def _spaced(section: RateLimit) -> tuple[int, int]:
    """Microseconds between two tokens, and how far ahead of that they may be taken."""
    interval = max(1, round(section.window * 1_000_000 / section.max))
    return interval, interval * (section.max - 1)
