from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.soak import Look, verdict
from gateway.watch.soaking.trend import trend

MB = 1_000_000


def series(start: float, slope: float, noise: float = 0.0, seconds: int = 180) -> list[tuple[float, float]]:
    """A number that rises by `slope` a minute, and trembles."""
    draw = random.Random(7)
    return [(float(at), start + slope * at / 60 + draw.uniform(-noise, noise)) for at in range(seconds)]


@given(st.floats(-1e9, 1e9), st.floats(-1e6, 1e6), st.integers(10, 400))
def test_a_straight_line(start: float, slope: float, seconds: int) -> None:
    """Its slope is what it is, whatever its length."""
    found = trend(series(start, slope, seconds=seconds))
    assert found.slope == pytest.approx(slope, abs=1.0)
    assert (found.last - found.first) * slope >= -1.0


def test_what_trembles_does_not_rise() -> None:
    """Half a megabyte of noise hides no growth, and is none."""
    assert abs(trend(series(100 * MB, 0, noise=0.5 * MB)).slope) < 0.2 * MB
    assert trend(series(100 * MB, MB, noise=0.5 * MB)).slope == pytest.approx(MB, rel=0.2)


def test_single_peaks_move_nothing() -> None:
    """A garbage collection now and then is no trend."""
    samples = [(at, value + (50 * MB if at % 20 == 0 else 0)) for at, value in series(100 * MB, 0)]
    assert trend(samples).slope == 0


def test_the_beginning_does_not_count() -> None:
    """Caches fill, then it is flat."""
    filling = [(at, 100 * MB + min(at, 60) * MB) for at, _ in series(0, 0)]
    assert trend(filling).slope == 0
    assert trend(filling).first == trend(filling).last == 160 * MB


def test_few_samples() -> None:
    """Of one there is a value and no slope."""
    found = trend([(0.0, 5.0)])
    assert (found.first, found.last, found.slope) == (5.0, 5.0, 0.0)


def looks(memory: float = 0.0, tier: float = 0.0, descriptors: float = 0.0) -> list[Look]:
    """Three minutes in which each rises by so much a minute."""
    return [
        Look(float(at), 100 * MB + memory * at / 60, tier * at / 60, 30 + descriptors * at / 60) for at in range(180)
    ]


FINE = {"ok": 900, "refused": 100}


def test_a_soak_that_passes() -> None:
    """Flat memory, flat descriptors, and no answer that failed."""
    result = verdict(looks(memory=0.1 * MB, descriptors=1), FINE, 3, 0.5)
    assert result["passed"] is True
    assert result["kind"] == "soak"
    assert result["summary"] == (
        "passed: 1000 requests in 3 min, 0 failed; memory 100.1 -> 100.3 MB (+0.100 a minute beside the memory tier, "
        "0.5 allowed), descriptors 31 -> 33"
    )


@pytest.mark.parametrize(
    ("seen", "outcomes"),
    [
        (looks(memory=0.6 * MB), FINE),
        (looks(descriptors=10), FINE),
        (looks(), {**FINE, "failed": 1}),
        (looks(), {"refused": 5}),
        (looks(), {}),
    ],
    ids=["memory", "descriptors", "an answer failed", "nothing was answered", "nothing was asked"],
)
def test_a_soak_that_does_not(seen: list[Look], outcomes: dict[str, int]) -> None:
    """A leak, of memory or of descriptors; or load that was none."""
    result = verdict(seen, outcomes, 3, 0.5)
    assert result["passed"] is False
    assert result["summary"].startswith("FAILED: ")


def test_a_cache_that_fills_is_no_leak() -> None:
    """What the memory tier accounts for is bounded by its size."""
    assert verdict(looks(memory=5 * MB, tier=4.8 * MB), FINE, 3, 0.5)["passed"] is True
    assert verdict(looks(memory=5 * MB, tier=4 * MB), FINE, 3, 0.5)["passed"] is False
