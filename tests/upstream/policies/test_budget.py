from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.upstream.policies.budget import WINDOW, RetryBudget

STEPS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 6), st.floats(0, 30)), max_size=60)
"""Each: so many requests, then so many attempts to send an extra one, then a pause."""


@given(st.sampled_from([0.05, 0.1, 0.2, 0.5, 1.0]), st.integers(0, 5), STEPS)
@example(0.2, 3, [(1000, 0, 1.0), (20, 40, 1.0), (20, 40, 1.0)])
def test_no_window_holds_more_than_the_budget(share: float, minimum: int, steps: list[tuple[int, int, float]]) -> None:
    """In every window of up to a minute, extra requests are at most the share of the others, or the minimum."""
    budget, now = RetryBudget(share, minimum), 1000.0
    extra: list[tuple[float, int]] = []
    for requests, attempts, pause in steps:
        for _ in range(requests):
            budget.requested()
        for _ in range(attempts):
            if budget.take(now):
                extra.append((now, budget.requests))
        now += pause
    exact = Fraction(repr(share))
    for first, (start, before) in enumerate(extra):
        for last in range(first, len(extra)):
            end, after = extra[last]
            if end - start < WINDOW:
                assert last - first + 1 <= max(Fraction(max(minimum, 1)), exact * (after - before))


@given(st.lists(st.integers(1, 40), min_size=1, max_size=100))
def test_an_outage_is_never_amplified_beyond_1_2_times(bursts: list[int]) -> None:
    """Counted from the start, or from the moment in which the upstream goes down: all tries together.

    Each burst of requests fails as a whole, and everyone wants to try again as often as they may.
    """
    budget = RetryBudget(0.2, 3)
    for _ in range(10_000):  # all is well, and nothing is saved up by it
        budget.requested()
    asked = sent = 0
    for burst in bursts:
        for _ in range(burst):
            budget.requested()
        asked += burst
        sent += burst + sum(budget.take(0.0) for _ in range(3 * burst))
        assert sent - asked <= max(3, 0.2 * asked)


def test_the_share_is_used() -> None:
    """With failures all the time, nearly as many extra requests are sent as are allowed."""
    budget = RetryBudget(0.2, 10)
    for _ in range(10_000):
        budget.requested()
        budget.take(0.0)
    assert 0.17 * 10_000 <= budget.extra <= 0.2 * 10_000


def test_a_quiet_upstream_can_be_asked_again_every_minute() -> None:
    """One request a minute: all of its retries are allowed, every time."""
    budget = RetryBudget(0.2, 3)
    for minute in range(100):
        budget.requested()
        assert [budget.take(minute * WINDOW) for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize("minimum", [1, 3])
def test_memory_is_bounded(minimum: int) -> None:
    """Whatever happens, a few numbers are kept."""
    budget = RetryBudget(1.0, minimum)
    for number in range(20_000):
        budget.requested()
        if number % 7:
            budget.take(number / 1000)
    assert len(budget._debts) + len(budget._latest) <= 2 * minimum
