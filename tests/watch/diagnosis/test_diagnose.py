from __future__ import annotations

from dataclasses import replace

import tomli_w

from gateway.telemetry.series import UpstreamSample
from gateway.watch.diagnosis.changes import merged
from gateway.watch.diagnosis.diagnose import RULES, diagnose
from gateway.watch.diagnosis.model import Facts, ToolFacts
from gateway.watch.gauges import UpstreamState
from tests.watch.diagnosis.rig import curve, histogram, loaded, misses, profile, sample, tier, window

BAD = Facts(
    profile(),
    window(
        sample(
            {"api": UpstreamSample(histogram(*[1.5] * 40), {"answered": 40}, queued=0)},
            {"memory": 5},
            lag=0.3,
        ),
        sample({"package": UpstreamSample(histogram(), {"unavailable": 9}, requests=10, extra=20)}, lag=0.3),
        sample({"server": UpstreamSample(histogram(), {}, queued=100, throttled=2)}),
    ),
    390_000_000,
    tiers={"memory": tier(), "disk": tier(1_000_000, 2_000_000_000)},
    upstreams={"api": UpstreamState(0, 0, 0, 0, 0, True, 1, batches=30, batched=30)},
    tools={"get": ToolFacts("docs", 5, 95, 9.0, 0.4), "find": ToolFacts("rare", 5, 95, 1.0)},
    misses={"get": misses(95, again=50), "find": misses(95)},
    curves={"memory": curve(0.9, 0.9, 0.99)},
)


def test_the_most_valuable_comes_first() -> None:
    """Whichever rule found it."""
    issues = diagnose(BAD)
    assert len(issues) > 9
    assert [issue.worth for issue in issues] == sorted((issue.worth for issue in issues), reverse=True)
    assert all(0 < issue.worth <= 100 for issue in issues)


def test_every_issue_is_of_the_rule_of_its_name() -> None:
    """An operator who looks a name up finds one rule."""
    names = {rule.__name__ for rule in RULES}
    assert len(names) == len(RULES) == 13
    assert {issue.name for issue in diagnose(BAD)} <= names
    for rule in RULES:
        assert all(issue.name == rule.__name__ for issue in rule(BAD))


def test_all_changes_together_make_a_profile() -> None:
    """Where two rules would change the same key, the more valuable one does; the rest fits."""
    changes = merged(issue.change for issue in diagnose(BAD))
    assert loaded(tomli_w.dumps(changes)).profile != BAD.profile


def test_what_is_so_already_is_not_told() -> None:
    """After the changes, nothing that is still found would change the same keys to the same values."""
    changes = merged(issue.change for issue in diagnose(BAD))
    after = replace(BAD, profile=loaded(tomli_w.dumps(changes)).profile)
    again = merged(issue.change for issue in diagnose(after))
    assert again["upstreams"].get("package") is None, "one retry and three failures are as low as it goes"


def test_a_gateway_that_does_well() -> None:
    """Nothing is made up."""
    assert diagnose(Facts(profile(), window(sample()))) == []
    assert diagnose(Facts(profile(), window())) == []
