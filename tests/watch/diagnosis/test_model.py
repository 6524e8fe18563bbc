from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.watch.diagnosis.changes import change, differing, living, living_longer, merged, paths, thresholds
from gateway.watch.diagnosis.model import Issue
from tests.watch.diagnosis.rig import profile

LEAVES = st.dictionaries(st.sampled_from("abc"), st.integers(), min_size=1, max_size=3)
CHANGES = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        lambda leaves, tables: {**leaves, **tables},
        LEAVES,
        st.dictionaries(st.sampled_from("ABC"), inner, min_size=1, max_size=3),
    ),
    max_leaves=8,
)
"""A profile's key holds either a table or a value, whoever sets it."""


@given(CHANGES)
def test_merging_with_nothing_or_itself_changes_nothing(one: dict[str, Any]) -> None:
    """Nothing is neutral, and twice the same is once: tables that hold no key are none."""
    assert dict(_leaves(merged([one]))) == dict(_leaves(merged([one, one]))) == dict(_leaves(merged([{}, one, {}])))
    assert dict(_leaves(merged([one]))) == dict(_leaves(one))


@given(CHANGES, CHANGES, CHANGES)
def test_merging_is_associative(one: dict[str, Any], two: dict[str, Any], three: dict[str, Any]) -> None:
    """However it is grouped, the first that sets a key counts."""
    assert merged([merged([one, two]), three]) == merged([one, merged([two, three])])


@given(CHANGES, CHANGES)
def test_the_first_counts(one: dict[str, Any], two: dict[str, Any]) -> None:
    """All of the first one is there, and of the second nothing that is in neither."""
    whole = dict(_leaves(merged([one, two])))
    assert dict(_leaves(one)).items() <= whole.items()
    assert set(whole.items()) <= {*_leaves(one), *_leaves(two)}


@given(CHANGES, CHANGES)
def test_merging_leaves_its_parts_alone(one: dict[str, Any], two: dict[str, Any]) -> None:
    """A later merge sees what the rules said."""
    before = repr((one, two))
    merged([one, two])
    assert repr((one, two)) == before


def test_a_change_by_its_path() -> None:
    """Tables around a value, and the keys by how they are written."""
    issue = Issue("n", "", "e", "a", 1.0, change({"max": 2, "window": "1m"}, "upstreams", "api", "rate_limit"))
    assert issue.change == {"upstreams": {"api": {"rate_limit": {"max": 2, "window": "1m"}}}}
    assert list(issue.paths) == ["upstreams.api.rate_limit.max", "upstreams.api.rate_limit.window"]
    assert issue.paths["upstreams.api.rate_limit.max"] == ("upstreams", "api", "rate_limit", "max")


def test_what_is_so_already_is_no_change() -> None:
    """Values are compared as TOML has them, and new tables are new."""
    part = {
        "cache": {"memory": {"max_size": "256MB", "max_items": 7}},
        "strategies": {"docs": {"ttl": "15m"}, "new": {"ttl": "1s"}},
    }
    assert differing(part, profile()) == {"cache": {"memory": {"max_items": 7}}, "strategies": {"new": {"ttl": "1s"}}}


def test_a_longer_life_is_one() -> None:
    """The tier's own limit is raised where it would end it; no longer than thirty days."""
    assert living_longer(profile(), "docs", 4) == change("1h", "strategies", "docs", "ttl")
    assert living_longer(profile('strategies.docs.ttl = "30m"'), "docs", 4) == merged(
        [change("2h", "strategies", "docs", "ttl"), change("2h", "cache", "disk", "ttl")]
    )
    capped = profile('strategies.docs.ttl = "1d"')
    assert living(capped, "docs") == 3600
    assert living_longer(capped, "docs", 4) == change("4h", "cache", "disk", "ttl")
    without = profile('cache.disk.enabled = false\ncache.memory.ttl = "20m"')
    assert living_longer(without, "docs", 4)["cache"] == {"memory": {"ttl": "1h"}}
    forever = profile('strategies.docs.ttl = "29d"\ncache.disk.ttl = "29d"')
    assert living_longer(forever, "docs", 4)["cache"] == {"disk": {"ttl": "30d"}}


def test_thresholds_rise_together() -> None:
    """The alert that says that emptying did not help stays above what empties; nothing is lowered."""
    quiet = profile("")
    assert thresholds(quiet, 500_000_000)["monitors"]["memory"] == {"warning": "500MB", "critical": "600MB"}
    alerted = profile('alerts.memory = { warning = "512MB", critical = "600MB" }')
    assert thresholds(alerted, 500_000_000)["alerts"]["memory"] == {"warning": "660MB", "critical": "720MB"}
    assert thresholds(profile('monitors.memory = { warning = "1GB", critical = "2GB" }'), 500_000_000) == {}


def _leaves(part: dict[str, Any]) -> list[tuple[tuple[str, ...], Any]]:
    def at(path: tuple[str, ...]) -> Any:
        value: Any = part
        for key in path:
            value = value[key]
        return value

    return [(path, at(path)) for path in paths(part)]
