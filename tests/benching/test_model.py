from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.benching.model import Measurement, Numbers
from gateway.benching.suite import SUITE
from tests.benching.scripted import subject


def test_numbers() -> None:
    """Percentiles are by the nearest rank, the median is in the middle."""
    found = Numbers.of([float(number) for number in range(100, 0, -1)])
    assert found == Numbers(mean=50.5, min=1.0, median=50.5, max=100.0, p95=95.0, p99=99.0)


def test_a_single_cost() -> None:
    """One cost is every number."""
    assert Numbers.of([3.0]) == Numbers(3.0, 3.0, 3.0, 3.0, 3.0, 3.0)


@given(st.lists(st.floats(min_value=1e-9, max_value=1e3), min_size=1))
def test_the_order_of_numbers(costs: list[float]) -> None:
    """Whatever was measured, the numbers are in their order and among what was measured."""
    found = Numbers.of(costs)
    assert found.min <= found.median <= found.max
    assert found.median <= found.p95 <= found.p99 <= found.max
    assert {found.min, found.max, found.p95, found.p99} <= set(costs)
    assert found.min <= found.mean * (1 + 1e-9)
    assert found.mean <= found.max * (1 + 1e-9)


def test_ratio_and_rate() -> None:
    """A cost is also told by the least of the calibration loop, and as operations a second."""
    found = Measurement("a", 2, 1, Numbers.of([0.25, 0.75]), calibration=0.125)
    assert (found.ratio, found.rate) == (2.0, 2.0)


@pytest.mark.parametrize(
    ("share", "asked", "iterations", "warmup"),
    [(1, 1000, 1000, 1000), (100, 1000, 10, 10), (100, 10, 1, 1), (3, 0, 1, 0)],
)
def test_shares(share: int, asked: int, iterations: int, warmup: int) -> None:
    """What takes long has a share of the iterations, at least one; no warm-up stays none."""
    found = subject(share=share)
    assert (found.iterations(asked), found.warmup(asked)) == (iterations, warmup)


def test_names() -> None:
    """Each subject of the suite has a name and a description of its own."""
    assert len({one.name for one in SUITE}) == len({one.about for one in SUITE}) == len(SUITE) == 19
