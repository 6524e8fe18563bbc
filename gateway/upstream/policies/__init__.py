"""How politely and how stubbornly an upstream is asked, whatever its protocol: one module a policy.

The order is deadline > concurrency > retry > rate. The rate limit is inside the retry, because the upstream counts
tries; the concurrency limit is outside, because a slot that is given up while pausing would let a failing upstream be
asked by ever more callers.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from gateway.profile.upstreams.policies import Politeness
from gateway.upstream.policies.deadline import Doing, deadline
from gateway.upstream.policies.rate import TokenBucket
from gateway.upstream.policies.retry import Draw, pauses, retrying

T = TypeVar("T")


class Policies:
    """The policies of one upstream, shared by all who ask it."""

    def __init__(self, upstream: str, section: Politeness, draw: Draw = random.uniform) -> None:
        self.upstream = upstream
        self._section = section
        self._draw = draw
        self._slots = trio.CapacityLimiter(section.max_concurrent)
        self._bucket = TokenBucket(section.rate_limit)

    async def ask(self, attempt: Callable[[], Awaitable[T]], *, idempotent: bool, doing: Doing | None = None) -> T:
        """What `attempt` answers, within the section's `timeout`, all waits and tries together.

        `attempt` is one try: it raises UpstreamUnavailable for what may pass, and is then called again where the
        request is `idempotent`; any other exception is final. It may say in `doing` what it waits for. Cancelling
        cancels the try that is under way.
        """
        section, doing = self._section, doing or Doing()

        async def one() -> T:
            doing.now = f"waiting for its turn (upstreams.{self.upstream}.rate_limit)"
            await self._bucket.take()
            doing.now = "waiting for the upstream"
            answer = await attempt()
            doing.now = "waiting to try again"
            return answer

        doing.now = f"waiting for its turn (upstreams.{self.upstream}.max_concurrent)"
        with deadline(self.upstream, section.timeout, doing):
            async with self._slots:
                retries = section.retries if idempotent else 0
                return await retrying(one, pauses(retries, section.retry_delay, self._draw))
