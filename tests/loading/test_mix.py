from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.loading.mix import Weighted, mix_of, uniform_mix, zipf
from gateway.profile.load import LoadCall, Vary


@given(st.integers(1, 60), st.floats(0.1, 4))
def test_zipf_is_what_its_definition_says(count: int, exponent: float) -> None:
    """The share of points that fall on rank k is k ** -s over the sum of all, to the last point."""
    points = 5000
    ranks = zipf(count, exponent)
    found = Counter(ranks.at((point + 0.5) / points) for point in range(points))
    whole = sum(rank**-exponent for rank in range(1, count + 1))
    for rank in range(1, count + 1):
        assert found[rank - 1] == pytest.approx(points * rank**-exponent / whole, abs=1.01)


@given(st.lists(st.floats(0.001, 1000), min_size=1, max_size=20), st.floats(0, 1, exclude_max=True))
def test_every_point_has_a_number(weights: list[float], point: float) -> None:
    """Every point from 0 up to 1 falls on one of the numbers, also where sums are rounded."""
    assert 0 <= Weighted.of(weights).at(point) < len(weights)


def test_tools_by_weight() -> None:
    """A tool of three times the weight is called three times as often, with its arguments and those that vary."""
    vary = {"name": Vary(values=("x", "y"))}
    mix = mix_of(
        [LoadCall(tool="a", weight=3, arguments={"n": 1}, vary=vary), LoadCall(tool="b", arguments={"m": [2]})]
    )
    draw = random.Random(1)
    drawn = [mix.draw(draw) for _ in range(4000)]
    assert Counter(call.tool for call in drawn)["a"] == pytest.approx(3000, abs=120)
    names = Counter(call.arguments["name"] for call in drawn if call.tool == "a")
    assert names["x"] == pytest.approx(1500, abs=120)
    assert all(call.arguments["n"] == 1 for call in drawn if call.tool == "a")
    assert all(call.arguments == {"m": [2]} for call in drawn if call.tool == "b")


def test_the_first_values_are_the_frequent_ones() -> None:
    """With zipf, values come in the order in which they are listed."""
    vary = {"name": Vary(values=tuple("abcdef"), distribution="zipf", exponent=1.1)}
    mix = mix_of([LoadCall(tool="t", vary=vary)])
    draw = random.Random(2)
    found = Counter(mix.draw(draw).arguments["name"] for _ in range(5000))
    assert [name for name, _ in found.most_common()] == list("abcdef")


def test_warm_calls_uniformly() -> None:
    """Calls without weights are as frequent as each other."""
    mix = uniform_mix([("a", {}), ("b", {"x": 1})])
    draw = random.Random(3)
    found = Counter(mix.draw(draw).tool for _ in range(2000))
    assert found["a"] == pytest.approx(1000, abs=100)
