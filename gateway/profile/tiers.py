"""`[cache]` and `[strategies]`: how much is kept where, and for how long an answer counts as fresh."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from gateway.profile.section import Section
from gateway.profile.shared import SharedTier
from gateway.profile.units import Duration, Ratio, Size


class MemoryTier(Section):
    """`[cache.memory]`: L1, in this process."""

    enabled: bool = True
    """Off: every request goes to the next tier."""
    max_size: Size = 256_000_000
    """Most bytes that the entries may take, payload and bookkeeping."""
    max_items: Annotated[int, Field(ge=1)] = 50_000
    """Most entries."""
    ttl: Annotated[Duration, Field(gt=0)] = 900.0
    """How long an entry counts as fresh here at most, whatever its strategy says."""
    algorithm: Literal["lru", "adaptive"] = "lru"
    """What is evicted when there is no room: what was not asked for the longest, or what the requests so far say."""
    curve: bool = True
    """Whether it is estimated what hit rate the tier would have at half, double and four times its size."""


class DiskTier(Section):
    """`[cache.disk]`: L2, an SQLite file that survives restarts."""

    enabled: bool = True
    """Off: nothing is kept over a restart."""
    path: Annotated[str, Field(min_length=1)] = "~/.cache/gateway/gateway.db"
    """The file; its folder is made. `~` is the home folder."""
    max_size: Size = 2_000_000_000
    """Most bytes that the entries may take on disk."""
    ttl: Annotated[Duration, Field(gt=0)] = 3600.0
    """How long an entry counts as fresh here at most, whatever its strategy says."""
    compression_threshold: Size = 1_000
    """Payloads of at least this size are compressed with zstd."""
    compression_gain: Ratio = 0.10
    """...and kept compressed when that saves at least this part."""
    cleanup_interval: Annotated[Duration, Field(gt=0)] = 300.0
    """How often expired entries are deleted."""
    keep_damaged: Annotated[int, Field(ge=0)] = 3
    """How many damaged files that were set aside (`PATH.damaged-TIME`) are kept, the newest ones; older are deleted."""
    curve: bool = True
    """Whether it is estimated what hit rate the tier would have at half, double and four times its size."""

    @property
    def file(self) -> Path:
        """`path` as an absolute one."""
        return Path(self.path).expanduser().absolute()


class Cache(Section):
    """`[cache]`: the tiers, fastest first."""

    memory: MemoryTier = MemoryTier.unset()
    """L1, in this process."""
    disk: DiskTier = DiskTier.unset()
    """L2, a file."""
    shared: SharedTier = SharedTier.unset()
    """What several instances share."""
    pool_size: Annotated[int, Field(ge=1)] = 50
    """How many idle packers and compressors are kept for reuse."""


class Negative(Section):
    """`negative`: for how long a failure is remembered, so that it is not asked for again at once."""

    not_found: Duration = 0.0
    """The upstream has no such document."""
    upstream_error: Duration = 0.0
    """The upstream did not answer; a stale answer stands in for it where there is one."""
    invalid: Duration = 0.0
    """The upstream's answer could not be used."""


class Strategy(Section):
    """`[strategies.NAME]`: how long an answer counts as fresh, and what it is worth."""

    ttl: Annotated[Duration, Field(gt=0)]
    """How long an answer is served without asking the upstream again."""
    priority: Literal["low", "medium", "high"] = "medium"
    """What is evicted first when there is no room: low before medium before high."""
    stale_while_revalidate: Duration = 0.0
    """After `ttl`: for so long the old answer is served at once while one refresh runs (RFC 5861, section 3)."""
    stale_if_error: Duration = 0.0
    """After `ttl`: for so long the old answer is served when the upstream fails (RFC 5861, section 4)."""
    patience: Duration = 2.0
    """Within `stale_if_error`: for so long a caller waits for a refresh before the old answer stands in for it."""
    negative: Negative = Negative.unset()
    """For how long failures are remembered."""
    jitter: Ratio = 0.0
    """Up to this part of `ttl` is taken off it at random, so that what was stored together does not expire together."""
    tiers: tuple[Literal["memory", "disk", "shared"], ...] = Field(default=("memory", "disk", "shared"), strict=False)
    """The tiers that may hold the answers, as far as they are on; `shared` never those of a caller without a name."""
    scope: Literal["public", "private"] = "public"
    """`private`: each caller has answers of its own, whatever the upstream says."""
    upstream_freshness: Literal["ignore", "honour", "cap"] = "ignore"
    """What the upstream's Cache-Control is worth (RFC 9111): nothing, all, or no more than this strategy."""
    call_directives: tuple[Literal["no-cache", "max-age"], ...] = Field(default=(), strict=False)
    """What a call's `_meta` may ask for: that the upstream is asked, or that the answer is not older than so long."""
