"""How politely and how stubbornly an upstream is asked, whatever its protocol: one module a policy.

The order, from the outside in, is deadline > concurrency > retry > hedge > rate > breaker > try timeout; what is inside
of that is one try, the caller's business (for HTTP: connection pool and request).

- The deadline is outermost: it is the promise to the caller, and all that waits below waits within it.
- Concurrency is outside of the retries: a slot that is given up while pausing would let a failing upstream be asked by
  ever more callers. A hedge takes a slot of its own, or is not sent.
- A retry is a new try, with its own hedge: the pause between tries needs no slot of the upstream's time.
- The rate is inside of both, because the upstream counts every request that it is sent.
- The breaker is innermost of what decides, so that it sees every single outcome, and decides at the moment of sending:
  who waited for a slot or a token while the upstream went down is not sent any more. It is looked at before each wait,
  too, so that an open one refuses at once; and nobody pauses for a retry that it would refuse.
- The try timeout is inside the breaker, for which a try that runs out of it is a failure, and outside the pool.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import trio

from gateway.profile.upstreams.policies import Politeness, RateLimit
from gateway.upstream.policies.breaker import BreakerStatistics, CircuitBreaker
from gateway.upstream.policies.budget import RetryBudget
from gateway.upstream.policies.concurrency import Slots
from gateway.upstream.policies.deadline import Doing, deadline, limited, promised
from gateway.upstream.policies.hedge import Latencies, delay_of, hedged
from gateway.upstream.policies.rate import Elsewhere, TokenBucket
from gateway.upstream.policies.retry import Draw, pauses, retrying

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PolicyStatistics:
    """What the policies of one upstream do at a moment, and did since the start."""

    under_way: int
    queued: int
    """Waiting for a slot (`max_concurrent`)."""
    throttled: int
    """Waiting for a token (`rate_limit`)."""
    requests: int
    """Sent for callers, each once."""
    extra: int
    """Allowed beside those by the budget: retries and hedges."""
    breaker: BreakerStatistics
    batches: int = 0
    """Requests that were sent for several callers (`batch`)..."""
    batched: int = 0
    """...and what those asked for, each once."""
    waits: int = 0
    """Requests that had to wait for a slot."""
    answer_p95: float = 0.0
    """Seconds of the last 100 answers, without what they waited for here; 0 while there are too few to say."""


class Policies:
    """The policies of one upstream, shared by all who ask it. Safe for concurrent use; nothing to close.

    `connections` is how many requests its transport can have under way, where that may be less than `max_concurrent`.
    """

    def __init__(
        self, upstream: str, section: Politeness, draw: Draw = random.uniform, *, connections: int | None = None
    ) -> None:
        self.upstream = upstream
        self._section = section
        self._draw = draw
        self._slots = Slots(upstream, section, connections)
        self._bucket = TokenBucket(upstream, section.rate_limit)
        self._breaker = CircuitBreaker(upstream, section.breaker)
        self._budget = RetryBudget(section.retry_budget, section.retries)
        self._latencies = Latencies()
        self._batches = self._batched = 0

    async def ask(self, attempt: Callable[[], Awaitable[T]], *, idempotent: bool, doing: Doing | None = None) -> T:
        """What `attempt` answers, within the section's `timeout`, all waits and tries together.

        `attempt` is one try: it raises UpstreamUnavailable for what may pass, and is then called again where the
        request is `idempotent`, also twice at the same time where the section has a `hedge`. Any other exception is
        final. It may say in `doing` what it waits for. Raises UpstreamNotAsked where nothing was sent. Cancelling
        cancels the tries that are under way.
        """
        section, doing = self._section, doing or Doing()
        self._breaker.check(trio.current_time())
        doing.now = f"waiting for its turn (upstreams.{self.upstream}.{self._slots.key})"
        with deadline(self.upstream, section.timeout, doing):
            ask = _Asking(attempt, idempotent, doing, promised())
            async with self._slots.slot():
                retries = section.retries if idempotent else 0
                delays = pauses(retries, section.retry_delay, self._draw)
                return await retrying(partial(self._try, ask), delays, partial(self._worthwhile, ask))

    def share(self, rate: Callable[[RateLimit], Elsewhere]) -> None:
        """Keep to the rate limit together with others: `rate` gives what they allow."""
        self._bucket.elsewhere = rate(self._section.rate_limit)

    def statistics(self) -> PolicyStatistics:
        """What is under way, what waits, and what was sent."""
        return PolicyStatistics(
            self._slots.under_way,
            self._slots.waiting,
            self._bucket.waiting,
            self._budget.requests,
            self._budget.extra,
            self._breaker.statistics(trio.current_time()),
            self._batches,
            self._batched,
            self._slots.waits,
            self._latencies.percentile(0.95),
        )

    @property
    def slots(self) -> Slots:
        """How many requests may be under way at once; that can be changed while they are."""
        return self._slots

    def batch_sent(self, size: int) -> None:
        """Note that a request stands for `size` of them."""
        self._batches += 1
        self._batched += size

    async def _try(self, ask: _Asking[T]) -> T:
        """One try, and its hedge."""
        if self._section.hedge is None or not ask.idempotent:
            return await self._paced(ask)
        delay = delay_of(self._section.hedge, self._latencies)
        return await hedged(partial(self._paced, ask), delay, partial(self._second, ask))

    async def _paced(self, ask: _Asking[T]) -> T:
        """One request, when the rate allows it."""
        self._breaker.check(trio.current_time())
        ask.doing.now = f"waiting for its turn (upstreams.{self.upstream}.rate_limit)"
        await self._bucket.take()
        await self._bucket.take_elsewhere()
        return await self._sent(ask)

    async def _sent(self, ask: _Asking[T]) -> T:
        """One request, now, of which the outcome is noted."""
        with self._breaker.watching(ask.until):
            if not ask.counted:
                ask.counted = True
                self._budget.requested()
            ask.doing.now = "waiting for the upstream"
            began = trio.current_time()
            answer = await limited(self.upstream, self._section.try_timeout, ask.doing, ask.attempt)
            self._latencies.add(trio.current_time() - began)
        return answer

    def _second(self, ask: _Asking[T]) -> Callable[[], Awaitable[T]] | None:
        """The hedge, if breaker, slot, rate and budget allow it at this moment: nothing waits for a hedge."""
        now = trio.current_time()
        slot = self._slots.take_nowait() if self._breaker.closed else None
        if slot is None:
            return None
        if not self._bucket.try_take(now) or not self._budget.take(now):
            self._slots.release(slot)
            return None

        async def second() -> T:
            try:
                await self._bucket.take_elsewhere()
                return await self._sent(ask)
            finally:
                self._slots.release(slot)

        return second

    def _worthwhile(self, ask: _Asking[T], pause: float) -> bool:
        """Whether to try again after `pause`; counted against the budget where it is."""
        ask.doing.now = "waiting to try again"
        now = trio.current_time()
        return not self._breaker.is_open_at(now + pause) and self._budget.take(now)


@dataclass(slots=True)
class _Asking(Generic[T]):
    """What a caller asks for, over all its tries."""

    attempt: Callable[[], Awaitable[T]]
    idempotent: bool
    doing: Doing
    until: float
    """When its time is over."""
    counted: bool = False
    """Whether anything was sent."""
