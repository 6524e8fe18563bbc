"""Counters that cost an addition."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class TierMeter:
    """What happened in one tier since the start."""

    hits: int = 0
    misses: int = 0
    writes: int = 0
    errors: int = 0
    """Reads and writes that failed; each was served as a miss."""
