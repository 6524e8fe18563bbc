from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.telemetry.series import UpstreamSample
from gateway.watch.diagnosis import upstream_rules
from gateway.watch.diagnosis.changes import change, differing
from gateway.watch.diagnosis.model import Facts
from gateway.watch.gauges import UpstreamState
from tests.watch.diagnosis.rig import found, histogram, profile, sample, window, with_change

STATE = UpstreamState(0, 0, 0, 0, 0, False, 0)


def of(name: str, *seconds: float, **more: Any) -> dict[str, UpstreamSample]:
    """One upstream that answered after so many seconds each."""
    outcomes = more.pop("outcomes", {"answered": len(seconds)} if seconds else {})
    return {name: UpstreamSample(histogram(*seconds), outcomes, **more)}


def facts(name: str, *seconds: float, text: str = "", **more: Any) -> Facts:
    return Facts(profile(text), window(sample(of(name, *seconds, **more))))


def test_an_upstream_that_is_slow_now_and_then() -> None:
    """A second request, after twice the median."""
    slow = facts("api", *[0.1] * 36, *[2.0] * 4)
    (issue,) = found(upstream_rules.slow_upstream, slow)
    assert issue.evidence.startswith("40 questions took 0.1 s at the median and 1.9 s at the 95th percentile: a few")
    assert issue.worth == 100
    hedge = with_change(issue, slow.profile).upstreams["api"]
    assert hedge.type == "http"
    assert hedge.hedge is not None
    assert hedge.hedge.after == pytest.approx(0.2, rel=0.15)


@pytest.mark.parametrize("name", ["api", "package", "server"])
def test_an_upstream_that_is_always_slow(name: str) -> None:
    """Old answers are served meanwhile, under the strategies of what reads it: also through a search, or by an MCP
    server's own."""
    slow = facts(name, *[1.5] * 40)
    (issue,) = found(upstream_rules.slow_upstream, slow)
    after = with_change(issue, slow.profile)
    changed = {"api": "docs", "server": "docs", "package": "rare"}[name]
    assert list(issue.change) == ["strategies"]
    assert list(issue.change["strategies"]) == [changed]
    assert after.strategies[changed].stale_while_revalidate == 900


def test_a_package_is_not_downloaded_twice() -> None:
    """Some of its documents are large: a hedge would ask for those again."""
    (issue,) = found(upstream_rules.slow_upstream, facts("package", *[0.1] * 36, *[2.0] * 4))
    assert "hedge" not in repr(issue.change)


@pytest.mark.parametrize("text", ['timeout = "190ms"\nretries = 0', "max_concurrent = 1\npool.max_connections = 1"])
def test_a_hedge_that_would_never_be_sent_is_not_advised(text: str) -> None:
    """The first request ends before, or has the only slot."""
    slow = facts("api", *[0.1] * 36, *[2.0] * 4, text=f"[upstreams.api]\n{text}")
    (issue,) = found(upstream_rules.slow_upstream, slow)
    assert "hedge" not in repr(issue.change)


def test_an_upstream_that_old_answers_hide_already() -> None:
    """There is nothing to change."""
    text = 'strategies.docs.stale_while_revalidate = "15m"'
    (issue,) = found(upstream_rules.slow_upstream, facts("api", *[1.5] * 40, text=text))
    assert issue.change == {}


@pytest.mark.parametrize(
    "quick",
    [
        facts("api", *[0.5] * 40),
        facts("api", *[1.5] * 19),
        facts("api", *[1.5] * 40, queued=1),
        facts("api", *[1.5] * 40, throttled=1),
        facts("api", *[1.5] * 40, outcomes={"unavailable": 20, "answered": 20}),
        facts("api", *[1.5] * 40, text='alerts.upstream_response_time.warning = "2s"'),
        facts("folder", *[1.5] * 40),
    ],
    ids=["quick", "few", "waits for a slot", "waits for a token", "fails", "the alert's threshold", "no network"],
)
def test_no_slow_upstream(quick: Facts) -> None:
    """Quick enough; or slow for another reason, which is another rule's business."""
    assert found(upstream_rules.slow_upstream, quick) == []


STORM = facts("api", requests=10, extra=20, outcomes={"unavailable": 9, "answered": 1})


def test_retry_storm() -> None:
    """Fewer retries, and a breaker that opens sooner."""
    (issue,) = found(upstream_rules.retry_storm, STORM)
    assert issue.evidence == "20 retries beside 10 requests, and 9 of 10 questions failed anyway"
    assert issue.worth == 100
    after = with_change_of(issue, STORM, "api")
    assert (after.retries, after.breaker.failures) == (1, 3)


def test_a_retry_storm_without_retries_raises_nothing() -> None:
    """What is lower already stays."""
    storm = replace(STORM, profile=profile("[upstreams.api]\nretries = 0\nbreaker.failures = 2"))
    (issue,) = found(upstream_rules.retry_storm, storm)
    assert issue.change["upstreams"]["api"] == {"retries": 0, "breaker": {"enabled": True, "failures": 2}}


@pytest.mark.parametrize(
    "calm",
    [
        facts("api", requests=4, extra=9, outcomes={"unavailable": 4}),
        facts("api", requests=100, extra=9, outcomes={"unavailable": 90}),
        facts("api", requests=10, extra=20, outcomes={"unavailable": 4, "answered": 6}),
        facts("api", requests=10, extra=0, outcomes={"unavailable": 10}),
    ],
    ids=["few", "within the budget", "they help", "none"],
)
def test_no_retry_storm(calm: Facts) -> None:
    """Retries that are few, or of use."""
    assert found(upstream_rules.retry_storm, calm) == []


def test_pool_exhausted() -> None:
    """More wait than may be under way; the pool is the narrower limit."""
    waiting = facts("api", queued=60)
    (issue,) = found(upstream_rules.pool_exhausted, waiting)
    assert issue.evidence == "up to 60 requests waited for one of 50 slots"
    section = with_change_of(issue, waiting, "api")
    assert (section.max_concurrent, section.pool.max_connections) == (100, 100)


def test_a_command_has_no_connections() -> None:
    """Only its own limit counts, and is raised."""
    waiting = facts("server", queued=100)
    (issue,) = found(upstream_rules.pool_exhausted, waiting)
    assert issue.change == change({"max_concurrent": 200}, "upstreams", "server")


@pytest.mark.parametrize(
    "free",
    [facts("api", queued=49), facts("api", queued=60, outcomes={"unavailable": 9, "answered": 1}), facts("api")],
    ids=["some wait", "fails", "idle"],
)
def test_no_pool_exhausted(free: Facts) -> None:
    """A queue that is short; or one of an upstream that more requests would not help."""
    assert found(upstream_rules.pool_exhausted, free) == []


def test_throttled() -> None:
    """Twice as many in the same time."""
    waiting = facts("api", throttled=3)
    (issue,) = found(upstream_rules.throttled, waiting)
    assert issue.evidence == "up to 3 requests waited for a token of 1000 in 1m"
    assert with_change_of(issue, waiting, "api").rate_limit.max == 2000
    assert found(upstream_rules.throttled, facts("api", queued=3)) == []


def test_batch_window() -> None:
    """Batches of one wait for nobody."""
    alone = replace(facts("api"), upstreams={"api": replace(STATE, batches=20, batched=22)})
    (issue,) = found(upstream_rules.batch_window, alone)
    assert issue.evidence == "20 batches had 1.1 requests on average, and each waited 50ms for others"
    assert with_change_of(issue, alone, "api").batch.window == 0.005


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (replace(STATE, batches=20, batched=30), ""),
        (replace(STATE, batches=19, batched=19), ""),
        (replace(STATE, batches=20, batched=20), '[upstreams.api.batch]\nwindow = "5ms"'),
    ],
    ids=["company", "few", "short"],
)
def test_no_batch_window(state: UpstreamState, text: str) -> None:
    """Batches that are worth their wait, and one that nobody notices."""
    assert found(upstream_rules.batch_window, replace(facts("api", text=text), upstreams={"api": state})) == []


OPEN = replace(STATE, breaker_open=True)


def test_open_breaker() -> None:
    """Old answers are to stand in, under every strategy that has none."""
    broken = replace(facts("api", outcomes={"unavailable": 5, "not_asked": 7}), upstreams={"api": OPEN})
    (issue,) = found(upstream_rules.open_breaker, broken)
    assert issue.evidence == "its breaker is open, 5 questions got no answer and 7 were not sent"
    assert with_change(issue, broken.profile).strategies["docs"].stale_if_error == 86400
    assert issue.worth == 90


def test_an_open_breaker_that_old_answers_stand_in_for() -> None:
    """Nothing to change: it is the upstream's fault."""
    broken = replace(facts("api", text='strategies.docs.stale_if_error = "1h"'), upstreams={"api": OPEN})
    (issue,) = found(upstream_rules.open_breaker, broken)
    assert (issue.change, issue.worth) == ({}, 50)


def test_what_changes_something_has_no_old_answers() -> None:
    """A tool that does more than read is not cached, whatever its strategy says."""
    broken = replace(facts("api", text="tools.get.annotations.read_only = false"), upstreams={"api": OPEN})
    (issue,) = found(upstream_rules.open_breaker, broken)
    assert issue.change == {}


def test_no_open_breaker() -> None:
    """Closed."""
    assert found(upstream_rules.open_breaker, replace(facts("api"), upstreams={"api": STATE})) == []


def with_change_of(issue: Any, about: Facts, name: str) -> Any:
    """The upstream after the change, of which only what differs is kept."""
    return with_change(replace(issue, change=differing(issue.change, about.profile)), about.profile).upstreams[name]
