from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.pipeline.freshness import CLOCK_TOLERANCE, Verdict, judge, new_entry
from gateway.pipeline.model import Policy

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
