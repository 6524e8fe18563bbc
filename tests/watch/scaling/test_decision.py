from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.watch.scaling.decision import decide, rate_at
from gateway.watch.scaling.model import Reading, Refusal, Standing, Step, Trial
from tests.watch.scaling.rig import FLAT, KEY, STEEP, after_looks, around, curve, pool, section, threads, tier

MB = 1_000_000


def moved(outcome: object) -> tuple[int, int]:
    assert isinstance(outcome, Step), outcome
    return outcome.before, outcome.after


def refused(outcome: object) -> tuple[str, str]:
    assert isinstance(outcome, Refusal), outcome
    return outcome.why, outcome.reason


def test_a_full_tier_grows_by_half_where_the_curve_rises() -> None:
    """The reason tells what was seen, what the curve promises, and what that saves."""
    step = after_looks(tier())
    assert moved(step) == (100 * MB, 150 * MB)
    assert isinstance(step, Step)
    assert step.reason == (
        "99% full, 500 entries evicted in 60 s; the curve says that 60.0% of its reads find something then, "
        "now 40.0% do: 20 a second fewer go on"
    )


def test_a_tier_whose_curve_is_flat_does_not_grow() -> None:
    """However full it is: more room would find no more."""
    why, reason = refused(after_looks(tier(curve=curve(FLAT))))
    assert why == "flat"
    assert "90.1% of its reads would find something with 150MB, now 90.0% do" in reason


@pytest.mark.parametrize("known", [None, curve(accesses=999), curve(accesses=9_999)])
def test_a_curve_that_rests_on_little_decides_nothing(known: Any) -> None:
    """With fewer reads than a thousand, or than there are entries, or without a curve."""
    assert refused(after_looks(tier(curve=known)))[0] == "unknown"


def test_a_tier_that_evicts_nothing_does_not_grow() -> None:
    """Full to the brim and content."""
    assert after_looks(tier(wants=False)) is None


def test_growth_is_cut_to_what_is_left_of_the_budget() -> None:
    """What the tier may still take without growing counts as used."""
    step = after_looks(tier(used=90 * MB, load=0.9), surroundings=around(resident=200 * MB, budget=235 * MB))
    assert moved(step) == (100 * MB, 125 * MB)


def test_growth_without_budget_is_refused() -> None:
    """And says what is left."""
    why, reason = refused(after_looks(tier(), surroundings=around(resident=232 * MB, budget=235 * MB)))
    assert why == "budget"
    assert reason.endswith("3 MB are left of scaling.memory_budget (235 MB)")


def test_growth_ends_at_the_bound() -> None:
    """The last step is as large as there is room, and after it there is none."""
    assert moved(after_looks(tier(most=120 * MB))) == (100 * MB, 120 * MB)
    assert refused(after_looks(tier(most=100 * MB)))[0] == "bound"


def test_above_the_budget_the_tier_shrinks_at_once() -> None:
    """By a part of what it has in use, since a limit that nothing reaches frees nothing; never below its least."""
    over = around(resident=1_100 * MB)
    outcomes, _ = decide(section(), [tier(used=80 * MB, wants=False)], over, {})
    assert moved(outcomes[0]) == (100 * MB, 64 * MB)
    assert moved(after_looks(tier(used=10 * MB, wants=False), surroundings=over)) == (100 * MB, 50 * MB)
    assert refused(after_looks(tier(value=50 * MB, used=50 * MB), surroundings=over))[0] == "bound"


def test_the_disk_grows_into_what_is_free() -> None:
    """Less what monitors.disk keeps free."""
    disk = tier(kind="disk", key="cache.disk.max_size", room=20 * MB)
    assert moved(after_looks(disk)) == (100 * MB, 119 * MB)
    assert refused(after_looks(replace(disk, room=-5)))[0] == "disk"


def test_a_pool_grows_where_requests_wait() -> None:
    """By half, by one at least."""
    assert moved(after_looks(pool())) == (10, 15)
    assert moved(after_looks(pool(value=1, least=1))) == (1, 2)
    assert after_looks(pool(wants=False)) is None


@pytest.mark.parametrize(
    ("reading", "surroundings"),
    [
        (pool(objection="its breaker opened, so it is asked too much already"), around()),
        (pool(), around(cpu=0.97)),
        (threads(), around(cpu=0.97)),
    ],
)
def test_more_at_once_is_refused_where_it_can_not_help(reading: Reading, surroundings: Any) -> None:
    """An upstream that says no gets no more, and a processor that is busy gets no more to do."""
    assert refused(after_looks(reading, surroundings=surroundings))[0] == "useless"


def test_a_pool_that_grew_in_vain_is_put_back() -> None:
    """And is left so for ten cooldowns: an upstream that is the bottleneck only gets slower."""
    trial = Trial(before=10, answers=100.0)
    outcomes, standings = decide(
        section(),
        [pool(value=15, answers=101.0)],
        around(now=1000.0),
        {pool().key: Standing(high=2, moved_at=900.0, trial=trial)},
    )
    assert moved(outcomes[0]) == (15, 10)
    again = replace(standings[pool().key], high=2)
    soon, _ = decide(section(), [pool()], around(now=1100.0), {pool().key: again})
    assert refused(soon[0])[0] == "useless"
    later, _ = decide(section(), [pool()], around(now=1601.0), {pool().key: again})
    assert moved(later[0]) == (10, 15)


def test_a_pool_that_grew_with_effect_grows_on() -> None:
    """More answers than before, and still requests that wait."""
    assert moved(after_looks(pool(value=15, answers=140.0), trial=Trial(10, 100.0))) == (15, 22)


def test_threads_go_by_steps() -> None:
    """Two at a time, up and down."""
    assert moved(after_looks(threads())) == (40, 42)
    assert moved(after_looks(threads(load=0.1, peak=0.2, wants=False))) == (40, 38)


def test_an_idle_limit_shrinks_and_gives_nothing_up() -> None:
    """Not below what is in use, nor below its bound."""
    idle = {"load": 0.2, "peak": 0.2, "wants": False}
    assert moved(after_looks(tier(used=20 * MB, **idle))) == (100 * MB, 80 * MB)
    assert moved(after_looks(tier(used=20 * MB, least=90 * MB, **idle))) == (100 * MB, 90 * MB)
    assert after_looks(tier(used=20 * MB, least=100 * MB, **idle)) is None
    assert moved(after_looks(pool(**idle))) == (10, 8)
    assert moved(after_looks(pool(value=2, least=1, **idle))) == (2, 1)


def test_it_takes_looks_in_a_row() -> None:
    """One that says otherwise starts the count again."""
    standings: dict[str, Standing] = {}
    seen = []
    for wants in (True, True, False, True, True, True):
        outcomes, standings = decide(section(), [tier(wants=wants)], around(), standings)
        seen.append(len(outcomes))
    assert seen == [0, 0, 0, 0, 0, 1]


def test_what_was_moved_is_left_alone_for_a_while() -> None:
    """For `cooldown`, whatever the load."""
    assert after_looks(tier(), moved_at=941.0) is None
    assert moved(after_looks(tier(), moved_at=940.0)) == (100 * MB, 150 * MB)


def test_what_is_out_of_bounds_is_brought_within() -> None:
    """At the first look; up only as far as the budget goes."""
    outcomes, _ = decide(section(), [tier(value=30 * MB, used=10 * MB)], around(), {})
    assert moved(outcomes[0]) == (30 * MB, 50 * MB)
    outcomes, _ = decide(section(), [pool(value=100)], around(), {})
    assert moved(outcomes[0]) == (100, 40)
    tight = around(resident=200 * MB, budget=225 * MB)
    assert moved(decide(section(), [tier(value=30 * MB, used=10 * MB)], tight, {})[0][0]) == (30 * MB, 35 * MB)


def test_rates_between_sizes_lie_on_a_line() -> None:
    """And beyond the last size nothing is made up."""
    assert rate_at(curve(STEEP), 1.5) == pytest.approx(0.6)
    assert rate_at(curve(STEEP), 0.75) == pytest.approx(0.3)
    assert (rate_at(curve(STEEP), 0.1), rate_at(curve(STEEP), 9)) == (0.2, 0.9)


@st.composite
def looks(draw: st.DrawFn) -> list[Reading]:
    """A tier of some size, loaded in any way, from look to look."""
    least = draw(st.integers(1, 10**9))
    most = draw(st.integers(least, 4 * 10**9))
    readings = []
    for _ in range(draw(st.integers(1, 12))):
        load = draw(st.floats(0, 1))
        rates = tuple(sorted(draw(st.tuples(*[st.floats(0, 1)] * 4))))
        wants = draw(st.booleans())
        known = draw(st.sampled_from([None, curve(rates), curve(rates)]))
        readings.append(tier(least=least, most=most, load=load, peak=load, wants=wants, curve=known))
    return readings


@given(looks(), st.integers(1, 5 * 10**9), st.integers(0, 5 * 10**9), st.integers(1, 3), st.integers(0, 10**9))
def test_bounds_and_budget_hold_whatever_happens(
    readings: list[Reading], start: int, resident: int, count: int, other: int
) -> None:
    """Every step ends within the bounds or nearer to them, and no growth could fill more than the budget has."""
    budget = resident + other
    scaling, value, standings = section(cooldown="0s", looks=count), start, dict[str, Standing]()
    for number, reading in enumerate(readings):
        used = min(value, int(reading.load * value))
        present = replace(reading, value=value, used=used)
        outcomes, standings = decide(scaling, [present], around(float(number), resident, budget), standings)
        for step in outcomes:
            if isinstance(step, Refusal):
                continue
            assert step.before == value != step.after
            assert reading.least <= step.after <= reading.most or value < step.after < reading.least
            if step.after > value:
                assert resident + step.after - used <= budget
            value = step.after


@given(
    st.floats(0.3, 0.7999),
    st.floats(0.3, 0.7999),
    st.sampled_from([tier, pool, threads]),
    st.booleans(),
    st.integers(4, 40),
)
def test_between_low_and_high_nothing_moves(first: float, second: float, of: Any, wants: bool, count: int) -> None:
    """Load that goes to and fro within the band never moves anything, whether something had to wait or not."""
    standings: dict[str, Standing] = {}
    for number in range(count):
        load = first if number % 2 else second
        reading = of(load=load, peak=load, wants=wants)
        outcomes, standings = decide(section(cooldown="0s"), [reading], around(float(number)), standings)
        assert outcomes == []


@given(st.integers(10 * MB, 400 * MB), st.integers(2, 60))
def test_an_even_need_comes_to_rest(need: int, count: int) -> None:
    """A working set of any size is followed to a size that then stays: no limit goes up and down in turns."""
    scaling, value, standings, directions = section(cooldown="0s", looks=1), 100 * MB, dict[str, Standing](), []
    for number in range(count):
        used = min(value, need)
        load = used / value
        rates = tuple(min(1.0, factor * value / need) for factor in (0.5, 1.0, 2.0, 4.0))
        reading = tier(value=value, used=used, load=load, peak=load, wants=need > value, curve=curve(rates, value))
        outcomes, standings = decide(scaling, [reading], around(float(number)), standings)
        for step in outcomes:
            if isinstance(step, Step):
                directions.append(step.after > step.before)
                value = step.after
    assert len(set(directions)) <= 1
    assert len(directions) <= 8


@given(st.floats(0, 1), st.floats(0, 0.0099), st.floats(0, 0.0099))
def test_a_flat_curve_never_grows(rate: float, less: float, more: float) -> None:
    """Whatever its height, where twice the room finds less than `gain` more."""
    rates = (max(0.0, rate - less), rate, min(1.0, rate + more), 1.0)
    assert not isinstance(after_looks(tier(curve=curve(rates))), Step)


def test_keys_are_remembered_apart() -> None:
    """Looks at one limit say nothing of another."""
    _, standings = decide(section(), [tier(), pool(wants=False, load=0.1, peak=0.1)], around(), {})
    assert standings[KEY].high == 1
    assert (standings[pool().key].high, standings[pool().key].low) == (0, 1)
