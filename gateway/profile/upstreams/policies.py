"""`[upstream_defaults]`: how politely and how stubbornly upstreams are asked."""

from typing import Annotated

from pydantic import Field

from gateway.profile.section import Section
from gateway.profile.units import Duration, Ratio, Size


class Pool(Section):
    """`pool`: the HTTP connections to each host of an upstream."""

    max_connections: Annotated[int, Field(ge=1)] = 50
    """Most connections at once, and so most requests under way where `max_concurrent` is more."""
    max_keepalive: Annotated[int, Field(ge=0)] = 10
    """Most idle connections kept for reuse."""
    keepalive: Duration = 30.0
    """How long an idle connection is kept."""
    idle_timeout: Annotated[Duration, Field(gt=0)] = 60.0
    """Longest silence in the middle of an answer."""


class RateLimit(Section):
    """`rate_limit`: a token bucket."""

    max: Annotated[int, Field(ge=1)] = 1000
    """Most requests in a window."""
    window: Annotated[Duration, Field(gt=0)] = 60.0
    """How long the window is."""


class Breaker(Section):
    """`breaker`: when an upstream that fails is left alone for a while."""

    enabled: bool = True
    """Off: every request is sent, however many failed."""
    failures: Annotated[int, Field(ge=1)] = 5
    """So many failures in a row open it: no connection, no answer in time, broken off, 5xx or 429."""
    failure_rate: Annotated[Ratio, Field(gt=0)] = 0.5
    """...and so does this part of the requests of a `window`."""
    min_requests: Annotated[int, Field(ge=1)] = 20
    """Requests in a `window` from which on `failure_rate` is judged."""
    window: Annotated[Duration, Field(gt=0)] = 30.0
    """How far `failure_rate` looks back."""
    ejection: Annotated[Duration, Field(gt=0)] = 5.0
    """How long nothing is sent; then one request finds out. Doubles when that one fails, and shrinks again later."""
    max_ejection: Annotated[Duration, Field(gt=0)] = 120.0
    """Longest ejection."""


class Hedge(Section):
    """`hedge`: a second, equal request when the first one takes long; the first good answer counts."""

    after: Annotated[Duration, Field(gt=0)]
    """How long the first request takes at least before a second one is sent."""
    percentile: Annotated[Ratio, Field(gt=0)] | None = None
    """...and longer than so many of the last 100 answers took: `"95%"` hedges one request in twenty."""


class Politeness(Section):
    """`[upstream_defaults]`: what every upstream starts from; each can say otherwise in its own table."""

    timeout: Annotated[Duration, Field(gt=0)] = 30.0
    """Longest time for one document, all waits and tries together."""
    try_timeout: Annotated[Duration, Field(gt=0)] | None = None
    """Longest time for one try, from sending it to the end of its answer; without it, only `timeout` counts."""
    retries: Annotated[int, Field(ge=0, le=20)] = 3
    """How often a failed request is tried again, if it is idempotent."""
    retry_delay: Duration = 1.0
    """Upper bound of the first pause between tries; it doubles with every try (full jitter)."""
    retry_budget: Annotated[Ratio, Field(gt=0)] = 0.2
    """Retries and hedges are at most this part of all requests, in any minute; the `retries` of one request are always
    allowed."""
    max_concurrent: Annotated[int, Field(ge=1)] = 100
    """Most requests under way at once; the rest wait."""
    max_queue: Annotated[int, Field(ge=0)] = 1000
    """Most requests that wait for others to end; one more is refused at once."""
    queue_timeout: Annotated[Duration, Field(gt=0)] | None = None
    """Longest wait for others to end; without it, only `timeout` counts."""
    rate_limit: RateLimit = RateLimit.unset()
    """Most requests in a time; the rest wait, or are refused at once where that would outlast `timeout`."""
    breaker: Breaker = Breaker.unset()
    """When a failing upstream is left alone."""
    hedge: Hedge | None = None
    """A second request for one that takes long; off without it."""
    max_response_size: Annotated[Size, Field(gt=0)] = 16_000_000
    """Largest answer, after decompression."""
    private_addresses: bool = False
    """Whether the host's name may resolve to a private, loopback or link-local address."""
    pool: Pool = Pool.unset()
    """The HTTP connections."""
