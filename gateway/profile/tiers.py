"""`[cache]` and `[strategies]`: how much is kept where, and for how long an answer counts as fresh."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gateway.profile.section import Section
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
    algorithm: Literal["lru"] = "lru"
    """What is evicted when there is no room: the least recently used."""


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


class Cache(Section):
    """`[cache]`: the tiers, fastest first."""

    memory: MemoryTier = MemoryTier()
    """L1, in this process."""
    disk: DiskTier = DiskTier()
    """L2, a file."""
    pool_size: Annotated[int, Field(ge=1)] = 50
    """How many idle packers and compressors are kept for reuse."""


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
