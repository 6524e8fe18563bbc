from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pipeline.directives import SILENT, Directives
from gateway.pipeline.freshness import CLOCK_TOLERANCE, Lifetime, Verdict, judge, lifetime, new_entry, not_found_entry
from gateway.pipeline.model import Negative, Policy, UpstreamFreshness

POLICY = Policy("s", ttl=100, stale_while_revalidate=50, stale_if_error=500)
seconds = st.floats(0, 10_000)


def test_an_entry_goes_through_its_windows_in_order() -> None:
    """Fresh for its ttl, then served while it is refreshed, then only when the refresh fails, then never."""
    entry = new_entry(b"", POLICY, 1000.0)
    ages = {
        0: Verdict.FRESH, 99.9: Verdict.FRESH, 100: Verdict.REVALIDATE, 149.9: Verdict.REVALIDATE,
        150: Verdict.ON_ERROR, 599.9: Verdict.ON_ERROR, 600: Verdict.EXPIRED,
    }  # fmt: skip
    assert {age: judge(entry, POLICY, 1000.0 + age) for age in ages} == ages


def test_a_stricter_reader_finds_an_entry_stale_earlier() -> None:
    """A tool with a short ttl is not served what a tool with a long one left behind."""
    entry = new_entry(b"", POLICY, 1000.0)
    assert judge(entry, Policy("strict", ttl=10), 1050.0) is Verdict.EXPIRED


def test_a_laxer_reader_does_not_make_an_entry_fresher() -> None:
    """The strategy under which an entry was stored limits every reader."""
    entry = new_entry(b"", Policy("strict", ttl=10), 1000.0)
    assert judge(entry, POLICY, 1050.0) is Verdict.EXPIRED


def test_an_entry_from_the_future_is_expired() -> None:
    """Once the clock was set back, an entry's age is unknown, so it is not used."""
    entry = new_entry(b"", POLICY, 1000.0)
    assert judge(entry, POLICY, 1000.0 - CLOCK_TOLERANCE) is Verdict.FRESH
    assert judge(entry, POLICY, 999.9 - CLOCK_TOLERANCE) is Verdict.EXPIRED


def test_an_immutable_entry_does_not_age() -> None:
    """One file of one release stays fresh for as long as a tier keeps it."""
    entry = new_entry(b"", POLICY, 1000.0, immutable=True)
    assert judge(entry, POLICY, 1e9) is Verdict.FRESH
    assert judge(entry.fresh_at_most_until(1200.0), POLICY, 1200.0) is Verdict.REVALIDATE


@given(seconds, seconds, seconds, seconds, seconds, seconds, seconds)
def test_no_entry_is_over_stale(
    ttl: float, revalidate: float, on_error: float, reader_ttl: float, reader_window: float, stored: float, age: float
) -> None:
    """Whatever the two policies, an entry is never used beyond the smaller ttl and the smaller window of the two."""
    writer = Policy("w", ttl, revalidate, on_error)
    reader = Policy("r", reader_ttl, reader_window, reader_window)
    verdict = judge(new_entry(b"", writer, stored), reader, stored + age)
    age = (stored + age) - stored  # as floats have it
    fresh = min(ttl, reader_ttl)
    slack = 1e-6
    if verdict is Verdict.FRESH:
        assert age <= fresh + slack
    elif verdict is Verdict.REVALIDATE:
        assert fresh - slack <= age <= fresh + min(revalidate, reader_window) + slack
    elif verdict is Verdict.ON_ERROR:
        assert fresh - slack <= age <= fresh + min(on_error, reader_window) + slack
    else:
        assert age >= fresh - slack


IGNORE, HONOUR, CAP = UpstreamFreshness.IGNORE, UpstreamFreshness.HONOUR, UpstreamFreshness.CAP


def strategy(upstream_freshness: UpstreamFreshness, *, private: bool = False) -> Policy:
    return Policy("s", 100, 50, 500, upstream_freshness=upstream_freshness, private=private)


@pytest.mark.parametrize(
    ("policy", "directives", "expected"),
    [
        (strategy(IGNORE), Directives(max_age=5, no_store=True), Lifetime(100, 50, 500)),
        (strategy(HONOUR), SILENT, Lifetime(100, 50, 500)),
        (strategy(HONOUR), Directives(max_age=1000), Lifetime(1000, 50, 500)),
        (strategy(HONOUR), Directives(max_age=1000, age=300), Lifetime(700, 50, 500)),
        (strategy(HONOUR), Directives(max_age=10, age=300), Lifetime(0, 50, 500)),
        (strategy(HONOUR), Directives(stale_while_revalidate=1, stale_if_error=2), Lifetime(100, 1, 2)),
        (strategy(HONOUR), Directives(max_age=9, must_revalidate=True), Lifetime(9, 0, 0)),
        (strategy(HONOUR), Directives(max_age=9, no_cache=True), Lifetime(0, 0, 0)),
        (strategy(HONOUR), Directives(no_store=True), Lifetime(0, 0, 0, keep=False)),
        (strategy(HONOUR), Directives(private=True), Lifetime(0, 0, 0, keep=False)),
        (strategy(HONOUR, private=True), Directives(private=True), Lifetime(100, 50, 500)),
        (strategy(CAP), Directives(max_age=1000, stale_if_error=9000), Lifetime(100, 50, 500)),
        (strategy(CAP), Directives(max_age=10), Lifetime(10, 50, 500)),
    ],
)
def test_the_upstreams_word_counts_as_the_strategy_says(
    policy: Policy, directives: Directives, expected: Lifetime
) -> None:
    """Ignored, honoured or capped; no-store and, for shared entries, private are never kept."""
    assert lifetime(policy, directives) == expected


def test_an_honoured_lifetime_may_exceed_the_strategys() -> None:
    """With "honour" an answer that the upstream calls fresh for longer stays fresh for longer."""
    entry = new_entry(b"", strategy(HONOUR), 1000.0, directives=Directives(max_age=1000))
    assert judge(entry, strategy(HONOUR), 1999.0) is Verdict.FRESH


@given(st.floats(0, 1), st.floats(0, 1), seconds)
def test_jitter_only_shortens(jitter: float, draw: float, ttl: float) -> None:
    """An entry is fresh for at most its ttl, and for at least the part of it that jitter leaves."""
    entry = new_entry(b"", Policy("s", ttl, jitter=jitter), 0.0, draw=draw)
    assert ttl * (1 - jitter) - 1e-6 <= entry.fresh_until <= ttl


def test_a_reader_can_ask_for_nothing_older() -> None:
    """max-age makes an older entry stale to this reader, who would rather wait than be served it."""
    entry = new_entry(b"", POLICY, 1000.0)
    assert judge(entry, POLICY.at_most(10), 1009.0) is Verdict.FRESH
    assert judge(entry, POLICY.at_most(10), 1010.0) is Verdict.ON_ERROR
    assert judge(entry, POLICY.at_most(0), 1000.0) is Verdict.ON_ERROR
    assert judge(entry, POLICY, 1010.0) is Verdict.FRESH


def test_nothing_from_before_a_change_is_used() -> None:
    """Not while it would be fresh, and not on error; what never changes, and what is newer, is."""
    reader = replace(POLICY, not_before=1000.0)
    assert judge(new_entry(b"", POLICY, 1000.0), reader, 1001.0) is Verdict.EXPIRED
    assert judge(new_entry(b"", POLICY, 1000.5), reader, 1001.0) is Verdict.FRESH
    assert judge(new_entry(b"", POLICY, 1000.5), reader, 1105.5) is Verdict.REVALIDATE
    assert judge(new_entry(b"", POLICY, 900.0, immutable=True), reader, 1001.0) is Verdict.FRESH


def test_not_found_is_kept_for_as_long_as_the_strategy_says() -> None:
    """A negative entry has a time of its own, and no stale windows; without one nothing is kept."""
    remembers = Policy("s", ttl=100, stale_if_error=500, negative=Negative(not_found=30))
    entry = not_found_entry("no such thing", remembers, 1000.0)
    assert entry is not None
    assert [judge(entry, remembers, 1000.0 + age) for age in (29, 30)] == [Verdict.FRESH, Verdict.EXPIRED]
    assert judge(entry, POLICY, 1001.0) is Verdict.EXPIRED
    assert not_found_entry("no such thing", POLICY, 1000.0) is None


def test_a_softly_purged_entry_only_stands_in_for_a_failure() -> None:
    """It is not served while it is refreshed, and does not live longer than before."""
    entry = new_entry(b"", POLICY, 1000.0).made_stale(1010.0)
    verdicts = [judge(entry, POLICY, at) for at in (1010.0, 1509.0, 1510.0)]
    assert verdicts == [Verdict.ON_ERROR, Verdict.ON_ERROR, Verdict.EXPIRED]
