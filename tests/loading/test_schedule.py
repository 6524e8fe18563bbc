from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.loading.schedule import due, starts


def test_an_open_loop_is_even() -> None:
    """Without a ramp, requests are due at equal distances from the beginning on."""
    assert [due(number, 4.0, 0.0) for number in range(5)] == [0.0, 0.25, 0.5, 0.75, 1.0]


@given(st.floats(0.5, 1000), st.floats(0.1, 60))
def test_the_rate_rises_evenly(rate: float, ramp: float) -> None:
    """Half of what the full rate would have made is due within the ramp, a quarter of that in its first half."""
    within = rate * ramp / 2
    assert due(int(within) + 1, rate, ramp) >= ramp
    assert due(0, rate, ramp) == pytest.approx(0.0)
    quarter = within / 4
    assert due(int(quarter), rate, ramp) <= ramp / 2 + 1e-9


@given(st.integers(0, 5000), st.floats(0.5, 1000), st.floats(0, 60))
def test_requests_are_due_in_order(number: int, rate: float, ramp: float) -> None:
    """Each is due after the one before, and after the ramp at the distance of the rate."""
    first, second = due(number, rate, ramp), due(number + 1, rate, ramp)
    assert second > first
    if first >= ramp:
        assert second - first == pytest.approx(1 / rate, rel=1e-6, abs=1e-9)


def test_connections_begin_one_after_the_other() -> None:
    """Over the ramp, at equal distances; all at once where there is none."""
    assert starts(4, 2.0) == [0.0, 0.5, 1.0, 1.5]
    assert starts(3, 0.0) == [0.0, 0.0, 0.0]
