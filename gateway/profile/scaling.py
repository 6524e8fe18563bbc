"""`[scaling]`: what is made larger and smaller while the gateway runs, and within which bounds."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from gateway.profile.section import Name, Section, expected
from gateway.profile.units import Duration, Ratio, Size, format_ratio, format_size


def _in_order(least: int | None, most: int | None) -> None:
    if least is not None and most is not None and least > most:
        raise expected("a `min` that is at most `max`", found=f"{least} and {most}")


class ScaledTier(Section):
    """`[scaling.memory]` and `[scaling.disk]`: the bounds of a tier."""

    enabled: bool = True
    """Off: the tier stays as large as `[cache]` has it."""
    min_size: Annotated[Size, Field(gt=0)] | None = None
    """Smallest `max_size` of the tier; without it, half of what `[cache]` says."""
    max_size: Annotated[Size, Field(gt=0)] | None = None
    """Largest; without it, four times what `[cache]` says."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_size is not None and self.max_size is not None and self.min_size > self.max_size:
            found = f"{format_size(self.min_size)} and {format_size(self.max_size)}"
            raise expected("a `min_size` that is at most `max_size`", found=found)
        return self


class ScaledPools(Section):
    """`[scaling.pools]`: how many requests to an upstream may be under way at once."""

    enabled: bool = True
    """Off: pools stay as `max_concurrent` and `pool.max_connections` have them."""
    min: Annotated[int, Field(ge=1)] | None = None
    """Fewest, for each upstream; without it, half of what it starts with."""
    max: Annotated[int, Field(ge=1)] | None = None
    """Most, for each upstream; without it, twice what it starts with."""
    leave: tuple[Name, ...] = Field(default=(), strict=False)
    """Upstreams that are left as they are: those that have promised no more than what the profile says."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _in_order(self.min, self.max)
        return self


class ScaledThreads(Section):
    """`[scaling.threads]`: worker threads for what would block: files, names of hosts, certificates, exports."""

    enabled: bool = True
    """Off: there are 40 at most."""
    min: Annotated[int, Field(ge=1)] = 8
    """Fewest."""
    max: Annotated[int, Field(ge=1)] = 64
    """Most."""
    step: Annotated[int, Field(ge=1)] = 2
    """How many more, or fewer, at a time."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _in_order(self.min, self.max)
        return self


class Scaling(Section):
    """`[scaling]`: load moves limits, within bounds, and only where that helps."""

    enabled: bool = False
    """Whether anything is moved; off, everything is as the rest of the profile has it."""
    interval: Annotated[Duration, Field(ge=0.1)] = 10.0
    """How often it is looked at."""
    window: Annotated[Duration, Field(gt=0)] = 60.0
    """How far each look goes back."""
    high: Annotated[Ratio, Field(gt=0)] = 0.8
    """At this load, on average within the window, a limit is to grow."""
    low: Annotated[Ratio, Field(gt=0)] = 0.3
    """Below this load, at its peak within the window, it is to shrink."""
    looks: Annotated[int, Field(ge=1)] = 3
    """So many looks in a row have to say the same before anything is moved."""
    cooldown: Duration = 120.0
    """How long a limit that was moved is left alone."""
    grow: Annotated[float, Field(gt=1, le=4)] = 1.5
    """How much larger caches and pools get in one step."""
    shrink: Annotated[float, Field(gt=0, lt=1)] = 0.8
    """How much smaller."""
    gain: Annotated[Ratio, Field(gt=0)] = 0.01
    """Points of hit rate that a step has to bring, by its miss-ratio curve, or else a cache does not grow."""
    memory_budget: Annotated[Size, Field(gt=0)] | None = None
    """Resident memory that no growth may lead to, and above which the memory tier shrinks first of all; without it,
    `monitors.memory.warning`."""
    memory: ScaledTier = ScaledTier.unset()
    """The memory tier; `max_items` goes with its size."""
    disk: ScaledTier = ScaledTier.unset()
    """The disk tier."""
    pools: ScaledPools = ScaledPools.unset()
    """Requests under way to upstreams."""
    threads: ScaledThreads = ScaledThreads.unset()
    """Worker threads."""

    @model_validator(mode="after")
    def _steady(self) -> Self:
        """What has just grown must not count as idle, nor what has just shrunk as full: it would never come to rest."""
        if self.high / self.grow <= self.low:
            after = f"{format_ratio(self.high)} becomes {format_ratio(round(self.high / self.grow, 3))} when it grows"
            raise expected(
                f"a `low` below {format_ratio(round(self.high / self.grow, 3))}, which is `high / grow`", found=after
            )
        if self.low / self.shrink >= self.high:
            raise expected(
                "a `high` above `low / shrink`",
                found=f"{format_ratio(self.high)} and {format_ratio(round(self.low / self.shrink, 3))}",
            )
        return self
