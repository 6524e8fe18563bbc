from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.telemetry.shapes import Misses, Spread
from gateway.watch.diagnosis import cache_rules
from gateway.watch.diagnosis.changes import change
from gateway.watch.diagnosis.model import Facts, ToolFacts
from tests.watch.diagnosis.rig import curve, found, misses, profile, sample, tier, window, with_change

LOW = Facts(
    profile(),
    window(sample()),
    tools={"get": ToolFacts("docs", 40, 60, 6.0)},
    misses={"get": misses(60, again=30)},
)


def test_low_hit_rate() -> None:
    """What expires and is asked for again lives four times as long, and is served stale."""
    (issue,) = found(cache_rules.low_hit_rate, LOW)
    assert issue.subject == "docs"
    assert issue.evidence == (
        "40% of 100 calls came from the cache, and nothing was evicted: answers expire after 15m at most, "
        "and 30 of the last 60 misses were for something asked before"
    )
    assert issue.worth == 50
    after = with_change(issue, LOW.profile)
    assert (after.strategies["docs"].ttl, after.strategies["docs"].stale_while_revalidate) == (3600, 900)


@pytest.mark.parametrize(
    "facts",
    [
        replace(LOW, tools={"get": ToolFacts("docs", 80, 20, 6.0)}),
        replace(LOW, tools={"get": ToolFacts("docs", 9, 40, 6.0)}),
        replace(LOW, misses={"get": misses(60, again=5)}),
        replace(LOW, misses={}),
        replace(LOW, tiers={"memory": tier(), "disk": tier()}, window=window(sample(evictions={"disk": 1}))),
    ],
    ids=["high", "few calls", "all new", "no misses noted", "evicted"],
)
def test_no_low_hit_rate(facts: Facts) -> None:
    """A longer life would not help: most hits, few calls, nothing asked twice, or no room."""
    assert found(cache_rules.low_hit_rate, facts) == []


def test_memory_that_evicts_is_no_reason_where_the_disk_has_it() -> None:
    """What left the first tier is still found in the second."""
    facts = replace(LOW, tiers={"memory": tier(), "disk": tier()}, window=window(sample(evictions={"memory": 9})))
    assert len(found(cache_rules.low_hit_rate, facts)) == 1


def test_an_upstream_that_ends_the_life_of_answers() -> None:
    """Where Cache-Control counts, a longer ttl alone would change nothing."""
    text = '[strategies.docs]\nupstream_freshness = "honour"'
    facts = replace(LOW, profile=profile(text))
    (issue,) = found(cache_rules.low_hit_rate, facts)
    assert with_change(issue, facts.profile, text).strategies["docs"].upstream_freshness == "ignore"


EVICTING = Facts(
    profile(),
    window(sample(evictions={"disk": 7})),
    tiers={"memory": tier(), "disk": tier(1_900_000_000, 2_000_000_000)},
    curves={"disk": curve(0.5, 0.6, 0.7)},
)


def test_evictions() -> None:
    """A tier that is full, and would find more with twice the room."""
    (issue,) = found(cache_rules.evictions, EVICTING)
    assert issue.evidence == (
        "7 entries were evicted in the last 5 s, 1000 are there; with twice the room 70% of the reads would find "
        "something, now 60% do"
    )
    assert issue.worth == pytest.approx(10)
    assert with_change(issue, EVICTING.profile).cache.disk.max_size == 4_000_000_000


@pytest.mark.parametrize(
    "facts",
    [
        replace(EVICTING, window=window(sample())),
        replace(EVICTING, curves={}),
        replace(EVICTING, curves={"disk": curve(0.5, 0.6, 0.61)}),
        replace(EVICTING, tiers={"disk": tier(1_000_000_000, 2_000_000_000)}),
    ],
    ids=["none", "no curve", "no gain", "not full"],
)
def test_no_evictions(facts: Facts) -> None:
    """More room would not help, or is not known to."""
    assert found(cache_rules.evictions, facts) == []


def test_a_larger_memory_tier_needs_room_in_the_process() -> None:
    """The thresholds rise with it, or it would be emptied before it is full; and the disk stays the larger one."""
    text = 'cache.disk.max_size = "300MB"\nalerts.memory.warning = "512MB"'
    facts = replace(
        EVICTING,
        profile=profile(text),
        window=window(sample(evictions={"memory": 7})),
        curves={"memory": curve(0.5, 0.6, 0.7)},
    )
    (issue,) = found(cache_rules.evictions, facts)
    assert issue.worth == pytest.approx(2), "the disk has what memory gave up"
    after = with_change(issue, facts.profile, text)
    assert (after.cache.memory.max_size, after.cache.disk.max_size) == (512_000_000, 512_000_000)
    assert after.monitors.memory.warning >= 612_000_000


def test_a_tier_full_of_many_small_entries_may_have_more_of_them() -> None:
    """It is the number that is doubled, not the bytes."""
    facts = replace(
        EVICTING,
        window=window(sample(evictions={"memory": 7})),
        tiers={"memory": tier(9_000_000, entries=50_000)},
        curves={"memory": curve(0.5, 0.6, 0.7)},
    )
    (issue,) = found(cache_rules.evictions, facts)
    assert issue.change == change(100_000, "cache", "memory", "max_items")
    assert "50000 entries now" in issue.advice


def test_a_disk_without_room_is_not_to_be_used_more() -> None:
    """The advice is to make room; a change would fill the disk."""
    facts = replace(EVICTING, window=window(sample(evictions={"disk": 7}, disk_free=1_000_000_000)))
    (issue,) = found(cache_rules.evictions, facts)
    assert issue.change == {}
    assert "make room on the disk first" in issue.advice


NEEDLESS = Facts(
    profile(), window(sample()), 390_000_000, tiers={"memory": tier()}, curves={"memory": curve(0.899, 0.9, 0.9)}
)


def test_needless_room() -> None:
    """Half the tier finds as much, and the process is short of memory."""
    (issue,) = found(cache_rules.needless_room, NEEDLESS)
    assert issue.evidence.endswith("with half of that 89.9% of its reads would find something, now 90.0% do")
    assert with_change(issue, NEEDLESS.profile).cache.memory.max_size == 128_000_000


@pytest.mark.parametrize(
    "facts",
    [
        replace(NEEDLESS, resident=300_000_000),
        replace(NEEDLESS, curves={"memory": curve(0.85, 0.9, 0.9)}),
        replace(NEEDLESS, curves={}),
        replace(NEEDLESS, tiers={"memory": tier(100_000_000)}),
        replace(NEEDLESS, tiers={}),
    ],
    ids=["enough memory", "it helps", "no curve", "half empty", "no tier"],
)
def test_no_needless_room(facts: Facts) -> None:
    """Nothing would be gained, or something lost."""
    assert found(cache_rules.needless_room, facts) == []


SPELLED = Facts(
    profile(),
    window(sample()),
    tools={"get": ToolFacts("docs", 0, 60, 3.0), "find": ToolFacts("rare", 0, 60, 3.0)},
    misses={"get": misses(60, name=Spread(40, 20, 2))},
)


def test_spellings() -> None:
    """One argument, many spellings, the same answers: normalised."""
    (issue,) = found(cache_rules.spellings, SPELLED)
    assert issue.subject == "get.name"
    assert issue.evidence == (
        "the last 60 misses had 40 values of name, which are 20 under kebab(name), and the answers were the same"
    )
    assert issue.worth == 25
    assert with_change(issue, SPELLED.profile).tools["get"].normalize == {"name": "kebab(name)"}


def test_a_name_that_jmespath_has_to_quote() -> None:
    """The expression is one."""
    facts = replace(SPELLED, misses={"get": Misses(60, 0, {"dashed-name": Spread(40, 20, 0)})})
    (issue,) = found(cache_rules.spellings, facts)
    assert with_change(issue, facts.profile).tools["get"].normalize == {"dashed-name": 'trim("dashed-name")'}


@pytest.mark.parametrize(
    "facts",
    [
        replace(SPELLED, misses={"get": misses(60, name=Spread(40, 40, None))}),
        replace(SPELLED, misses={"get": misses(60, name=Spread(24, 20, 2))}),
        replace(SPELLED, misses={"get": misses(49, name=Spread(40, 20, 2))}),
        replace(SPELLED, misses={"gone": misses(60, name=Spread(40, 20, 2))}),
        replace(SPELLED, profile=profile('tools.get.normalize.name = "lower(name)"')),
    ],
    ids=["told apart", "hardly any", "few misses", "not of the profile", "normalised already"],
)
def test_no_spellings(facts: Facts) -> None:
    """Nothing to gain, or somebody has decided."""
    assert found(cache_rules.spellings, facts) == []


RARE = Facts(
    profile(),
    window(sample(evictions={"memory": 1})),
    tiers={"memory": tier()},
    tools={"get": ToolFacts("docs", 5, 95), "file": ToolFacts("docs", 90, 10)},
    misses={"get": misses(95, again=2)},
)


def test_never_again() -> None:
    """It gets a strategy of its own, like the old one but of low priority; the others keep theirs."""
    (issue,) = found(cache_rules.never_again, RARE)
    assert issue.subject == "get"
    after = with_change(issue, RARE.profile)
    assert (after.tools["get"].strategy, after.tools["file"].strategy) == ("docs-rare", "docs")
    assert after.strategies["docs-rare"] == after.strategies["docs"].model_copy(update={"priority": "low"})


def test_never_again_under_a_strategy_of_its_own() -> None:
    """No other tool has it: its own priority is enough."""
    facts = replace(RARE, tools={"find": ToolFacts("rare", 0, 95)}, misses={"find": misses(95)})
    (issue,) = found(cache_rules.never_again, facts)
    assert issue.change == change("low", "strategies", "rare", "priority")


@pytest.mark.parametrize(
    "facts",
    [
        replace(RARE, window=window(sample())),
        replace(RARE, misses={"get": misses(95, again=20)}),
        replace(RARE, tools={"get": ToolFacts("docs", 30, 70)}),
        replace(RARE, tools={"get": ToolFacts("docs", 0, 49)}),
        replace(RARE, profile=profile('strategies.docs.priority = "low"')),
    ],
    ids=["room for all", "asked again", "hits", "few calls", "low already"],
)
def test_no_never_again(facts: Facts) -> None:
    """There is room, it is asked for again, or it goes first already."""
    assert found(cache_rules.never_again, facts) == []
