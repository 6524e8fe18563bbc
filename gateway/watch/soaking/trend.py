"""Whether a number that trembles also rises. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

_SETTLING = 0.4
"""The first part of the samples, in which caches fill and allocators find their size, and which does not count."""


@dataclass(frozen=True, slots=True)
class Trend:
    """How a number went."""

    first: float
    last: float
    """The medians of the first and of the last quarter of the samples that count."""
    slope: float
    """A minute, by Theil and Sen: the median of the slopes between all pairs, which single peaks do not move."""


def trend(samples: Sequence[tuple[float, float]]) -> Trend:
    """The trend of samples of seconds and values, in order; at least ten of them."""
    counted = samples[int(len(samples) * _SETTLING) :]
    quarter = max(1, len(counted) // 4)
    step = max(1, len(counted) // 200)  # pairs are many
    thinned = counted[::step]
    slopes = [
        (later[1] - sooner[1]) / (later[0] - sooner[0])
        for index, sooner in enumerate(thinned)
        for later in thinned[index + 1 :]
        if later[0] > sooner[0]
    ]
    return Trend(
        statistics.median(value for _, value in counted[:quarter]),
        statistics.median(value for _, value in counted[-quarter:]),
        60 * statistics.median(slopes) if slopes else 0.0,
    )
