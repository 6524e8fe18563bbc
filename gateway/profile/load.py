"""`[load]`: what `gateway load` asks of a server, how often, and by how many connections."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gateway.profile.section import Json, Section, expected
from gateway.profile.units import Duration


class Vary(Section):
    """One argument of a call that takes another value each time."""

    values: Annotated[tuple[Json, ...], Field(strict=False, min_length=1)]
    """What it can be, the most frequent first."""
    distribution: Literal["uniform", "zipf"] = "uniform"
    """`uniform`: each as often; `zipf`: the k-th in proportion to `1 / k ** exponent`, as in life."""
    exponent: Annotated[float, Field(gt=0, le=10)] = 1.1
    """How much more frequent the first ones are, for `zipf`."""


class LoadCall(Section):
    """One `[[load.calls]]`: a tool, how often it is called beside the others, and with what."""

    tool: Annotated[str, Field(min_length=1)]
    """The name of a tool of the server that is tested."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    """How often, in proportion to the weights of the others."""
    arguments: dict[str, Json] = {}
    """Arguments that stay the same."""
    vary: dict[str, Vary] = {}
    """Arguments that take another value each time, drawn for each call."""


class Load(Section):
    """`[load]`: a load test, as `gateway load` runs it; its options stand above these keys."""

    connections: Annotated[int, Field(ge=1, le=10_000)] = 10
    """How many clients ask at once; each has one connection and waits for its answer."""
    duration: Annotated[Duration, Field(gt=0)] | None = None
    """For how long; without it and without `requests`, 30s. Where both are set, it ends at whichever comes first."""
    requests: Annotated[int, Field(ge=1)] | None = None
    """How many requests in all, those of `warm_up` among them."""
    ramp: Duration = 0.0
    """In this time connections are opened one after the other; with `rate`, the rate rises to what it is to be."""
    delay: Duration = 0.0
    """How long a connection waits between an answer and its next request (closed loop)."""
    rate: Annotated[float, Field(gt=0, le=1_000_000)] | None = None
    """Requests a second that are due whatever the server does (open loop), and are timed from when they were due;
    without it, each connection asks as soon as it is answered (closed loop)."""
    warm_up: Duration = 0.0
    """Requests of this first time are made, and not counted."""
    timeout: Annotated[Duration, Field(gt=0)] = 30.0
    """How long one request may take."""
    era: Literal["auto", "modern", "handshake"] = "auto"
    """`modern`: MCP 2026-07-28; `handshake`: 2025-11-25, with `initialize`; `auto`: whichever the server speaks."""
    calls: tuple[LoadCall, ...] = Field(default=(), strict=False)
    """The mix, each a `[[load.calls]]`; without any, the calls of `[warm]`, each as often."""

    @model_validator(mode="after")
    def _one_loop(self) -> Self:
        if self.rate is not None and self.delay:
            raise expected("either `delay` (closed loop) or `rate` (open loop)", found="both")
        limit = self.seconds
        if limit is not None and self.warm_up >= limit:
            raise expected("a `warm_up` that is shorter than `duration`", found="none of it would count")
        return self

    @property
    def seconds(self) -> float | None:
        """For how long; None where the number of requests alone decides."""
        return 30.0 if self.duration is None and self.requests is None else self.duration
