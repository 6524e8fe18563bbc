"""A miss-ratio curve as its reader gets it."""

from __future__ import annotations

from dataclasses import dataclass

FACTORS = (0.5, 1.0, 2.0, 4.0)
"""Sizes that are asked about, as multiples of the tier's own."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One size of a tier, and the hit rate that it would have."""

    factor: float
    """This size as a multiple of the present one: of the bytes and, where there is a limit, of the entries."""
    size_bytes: int
    """Most bytes that the entries might take."""
    hit_rate: float
    """From 0 to 1: the part of the requests to this tier for which it would have had an entry, fresh or stale."""


@dataclass(frozen=True, slots=True)
class Curve:
    """What hit rate a tier would have at other sizes, by the requests of the last days (at most some millions)."""

    points: tuple[CurvePoint, ...]
    """By rising size."""
    accesses: int
    """Requests to the tier that this rests on. With few times as many as there are entries it says little."""
    sampled: float
    """From 0 to 1: the part of the keys that is looked at, as it was when that was last made smaller."""
    watched: float
    """From 0 to 1: the part of the requests during which that was done; less than 1 when it would cost too much."""
