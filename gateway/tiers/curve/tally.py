"""Counts of requests, and what follows from them."""

from __future__ import annotations

from collections.abc import Sequence

HISTORY = 8_000_000
"""Requests after which all counts are halved: the curve is about these days, not about the first ones."""


class Tally:
    """What the tier and its twins had, since a beginning or as far as it is not faded."""

    __slots__ = ("_had", "_hits", "_misses", "_since", "_watched")

    def __init__(self, twins: int, hits: int, misses: int) -> None:
        self._hits, self._misses = float(hits), float(misses)
        """What the tier's counters stood at when this began; what has faded counts as having been before that."""
        self._had = [0.0] * twins
        """Hits of each twin, scaled up to all keys; without those that all of them are known to have had."""
        self._watched = (0.0, 0.0)
        """The tier's hits and misses in finished periods in which the twins played."""
        self._since: tuple[int, int] | None = (hits, misses)
        """Its counters when the present such period began."""

    def add(self, had: Sequence[int], weight: float) -> None:
        """Count hits of the twins, each of which stands for `weight` requests."""
        for index, hits in enumerate(had):
            self._had[index] += hits * weight

    def watch(self, hits: int, misses: int, *, on: bool) -> None:
        """Begin or end a period in which the twins play."""
        self._watched = self._watched_until(hits, misses)
        self._since = (hits, misses) if on else None

    def fade(self, hits: int, misses: int) -> None:
        """Halve all counts, when there are many."""
        if hits + misses - self._hits - self._misses < HISTORY:
            return
        self.watch(hits, misses, on=self._since is not None)
        self._watched = (self._watched[0] / 2, self._watched[1] / 2)
        self._had = [each / 2 for each in self._had]
        self._hits += (hits - self._hits) / 2
        self._misses += (misses - self._misses) / 2

    def extent(self, hits: int, misses: int) -> tuple[int, float]:
        """How many requests this is about, and in what part of them the twins played."""
        accesses = hits + misses - self._hits - self._misses
        watched = sum(self._watched_until(hits, misses))
        return round(accesses), min(1.0, watched / accesses) if accesses else 1.0

    def rates(self, hits: int, misses: int, present: int) -> list[float]:
        """The hit rate for each twin, `present` being the index of the one that is as large as the tier.

        What a twin lost counts as a part of the tier's hits meanwhile, which is right also if it was taken while the
        tier was filling up; what it won as a part of all requests.
        """
        accesses = hits + misses - self._hits - self._misses
        if not accesses:
            return [0.0] * len(self._had)
        rate = (hits - self._hits) / accesses
        watched_hits, watched_misses = self._watched_until(hits, misses)
        watched = max(1.0, watched_hits + watched_misses)
        rates = []
        for had in self._had:
            won = had - self._had[present]
            part = won / watched if won > 0 else won / max(1.0, watched_hits) * rate
            rates.append(min(1.0, max(0.0, rate + part)))
        return rates

    def _watched_until(self, hits: int, misses: int) -> tuple[float, float]:
        if self._since is None:
            return self._watched
        return self._watched[0] + hits - self._since[0], self._watched[1] + misses - self._since[1]
