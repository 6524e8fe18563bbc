"""How many requests the twins may play, so that the curve costs next to nothing where requests are cheap."""

from __future__ import annotations

START = 4_096.0
"""Plays at first: some hundredths of a second of work. With fewer, what is known of the first thousands of requests is
about the filling of the tier alone."""

EXTENSION = 1_024.0
"""Plays in place of a first pause, once the sample is small: what then goes on is paid for by requests and time."""

PER_HIT = 1 / 256
"""Plays that a hit pays for. One takes 5 to 12 us with LRU, so this is under 0.05 us a hit, where the hit takes 10."""

PER_MISS = 4.0
"""Plays that a miss pays for: 20 us, where looking on the disk takes 100 to 600 us and an upstream milliseconds."""

PER_SECOND = 250.0
"""Plays that may be done in any case: some thousandths of a core. A quiet gateway looks at every request."""

BURST = START
"""Plays that are saved up before it goes on after a pause, and at most: far more than it takes to see what goes on."""


class Budget:
    """Counts plays against what requests and time pay for; a pause when nothing is left, until there is enough."""

    __slots__ = ("_hits", "_left", "_misses", "_now", "_price", "paused")

    def __init__(self, price: float = 1.0) -> None:
        self._price = price
        self._left = START / price
        self._hits = self._misses = 0
        self._now: float | None = None
        self.paused = False

    def extend(self) -> None:
        """Go on in place of a pause, as plays will be fewer."""
        self._left = EXTENSION / self._price
        self.paused = False

    def settle(self, plays: int, hits: int, misses: int, now: float) -> None:
        """Note that `plays` were done, and how many requests there have been in all by `now`, in seconds."""
        earned = (hits - self._hits) * PER_HIT / self._price + (misses - self._misses) * PER_MISS
        if self._now is not None:
            earned += max(0.0, now - self._now) * PER_SECOND
        self._hits, self._misses, self._now = hits, misses, now
        self._left = min(BURST, self._left + earned) - plays
        self.paused = self._left < (BURST if self.paused else 0)
