from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.watch.diagnosis import process_rules
from gateway.watch.diagnosis.model import Facts, ToolFacts
from gateway.watch.gauges import TierState
from tests.watch.diagnosis.rig import found, profile, sample, tier, window, with_change

FULL = 'cache.memory.max_size = "390MB"'
HIGH = Facts(profile(FULL), window(sample()), 380_000_000, tiers={"memory": tier(300_000_000, 390_000_000)})


def test_a_memory_tier_that_takes_too_much_is_made_smaller() -> None:
    """So that the process has room beside it."""
    (issue,) = found(process_rules.high_memory, HIGH)
    assert issue.evidence == (
        "380 MB are resident, entries are given up from 400 MB on; the memory tier has 300 MB and may take 390 MB"
    )
    assert with_change(issue, HIGH.profile, FULL).cache.memory.max_size == 250_000_000


@pytest.mark.parametrize("tiers", [{}, {"memory": tier(20_000_000)}], ids=["no tier", "hardly used"])
def test_thresholds_are_raised_where_the_tier_is_not_what_takes_it(tiers: dict[str, TierState]) -> None:
    """A smaller tier would free nothing."""
    facts = replace(HIGH, profile=profile(), tiers=tiers)
    (issue,) = found(process_rules.high_memory, facts)
    after = with_change(issue, facts.profile).monitors.memory
    assert (after.warning, after.critical) == (570_000_000, 684_000_000)


def test_no_high_memory() -> None:
    """Well below the threshold."""
    assert found(process_rules.high_memory, replace(HIGH, resident=350_000_000)) == []


LATE = Facts(profile(), window(*[sample(lag=0.2, cpu=0.5)] * 2, *[sample(lag=0.01, cpu=0.5)] * 8))


def test_lag() -> None:
    """Held up in several samples; what the CPU was used for is for the profiler to tell."""
    (issue,) = found(process_rules.lag, LATE)
    assert issue.evidence == (
        "in 2 of the last 10 samples a task was woken 100 ms late or more, 200 ms at most; "
        "the process used 50% of one core"
    )
    assert "gateway profile-cpu" in issue.advice
    assert issue.change == {}
    assert issue.worth == pytest.approx(0.8)


def test_lag_by_a_select() -> None:
    """The tool that it comes from, whose answers are made less often."""
    facts = replace(LATE, tools={"get": ToolFacts("docs", 1, 1, longest_select=0.15), "find": ToolFacts("rare", 1, 1)})
    (issue,) = found(process_rules.lag, facts)
    assert issue.evidence.endswith("; `select` of get took up to 150 ms")
    after = with_change(issue, LATE.profile)
    assert (after.strategies["docs"].ttl, after.strategies["rare"].ttl) == (1800, 900)


@pytest.mark.parametrize(
    "facts",
    [
        replace(LATE, window=window(sample(lag=0.2), *[sample(lag=0.01)] * 9)),
        replace(LATE, window=window(*[sample(lag=0.2)] * 2, *[sample()] * 20)),
        replace(LATE, profile=profile('alerts.lag.warning = "250ms"')),
        replace(LATE, window=window()),
    ],
    ids=["once", "seldom", "the alert's threshold", "no samples"],
)
def test_no_lag(facts: Facts) -> None:
    """Now and then is nothing to change a profile for."""
    assert found(process_rules.lag, facts) == []
