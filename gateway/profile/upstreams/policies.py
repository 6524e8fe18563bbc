"""`[upstream_defaults]`: how politely and how stubbornly upstreams are asked."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.profile.section import Section
from gateway.profile.units import Duration, Size


class Pool(Section):
    """`pool`: the HTTP connections to one upstream."""

    max_connections: Annotated[int, Field(ge=1)] = 50
    """Most connections at once."""
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


class Politeness(Section):
    """`[upstream_defaults]`: what every upstream starts from; each can say otherwise in its own table."""

    timeout: Annotated[Duration, Field(gt=0)] = 30.0
    """Longest time for one document, all tries together."""
    retries: Annotated[int, Field(ge=0, le=20)] = 3
    """How often a failed request is tried again."""
    retry_delay: Duration = 1.0
    """Upper bound of the first pause between tries; it doubles with every try (full jitter)."""
    max_concurrent: Annotated[int, Field(ge=1)] = 100
    """Most requests under way at once; the rest wait."""
    rate_limit: RateLimit = RateLimit()
    """Most requests in a time; the rest wait."""
    max_response_size: Annotated[Size, Field(gt=0)] = 16_000_000
    """Largest answer, after decompression."""
    private_addresses: bool = False
    """Whether the host's name may resolve to a private, loopback or link-local address."""
    pool: Pool = Pool()
    """The HTTP connections."""
