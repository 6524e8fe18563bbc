from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.profile.alerts import Alert, DurationAlert, RatioAlert, SizeAlert
from gateway.watch.alerts.judge import Judge
from gateway.watch.alerts.model import Change, Severity

OK, WARNING, CRITICAL = Severity.OK, Severity.WARNING, Severity.CRITICAL


def latency(**section: Any) -> Judge:
    table = {"warning": "100ms", "critical": "500ms", "hysteresis": "10%", **section}
    return Judge("response_time", "", DurationAlert.model_validate(table))


def hit_rate(**section: Any) -> Judge:
    table = {"warning": "80%", "critical": "50%", "hysteresis": "10%", **section}
    return Judge("hit_rate", "", RatioAlert.model_validate(table))


def events(judge: Judge, *values: float | None, step: float = 10.0) -> list[str]:
    """What each value led to, looked at every `step` seconds; empty where it led to nothing."""
    changes = [judge.look(value, number * step) for number, value in enumerate(values)]
    return [change.event if change is not None else "" for change in changes]


def test_at_the_threshold_is_bad_where_high_is_bad() -> None:
    """It is raised there, and not just below."""
    assert events(latency(), 0.0999) == [""]
    assert events(latency(), 0.1) == ["raised"]


def test_below_the_threshold_is_bad_where_low_is_bad() -> None:
    """At it, all is well."""
    assert events(hit_rate(), 0.8) == [""]
    assert events(hit_rate(), 0.799) == ["raised"]


def test_it_worsens_and_eases_and_is_cleared() -> None:
    """Each change of severity is one change, and nothing else is."""
    assert events(latency(), 0.2, 0.6, 0.6, 0.3, 0.3, 0.05) == ["raised", "worsened", "", "eased", "", "cleared"]
    assert events(hit_rate(), 0.7, 0.4, 0.4, 0.7, 0.7, 0.95) == ["raised", "worsened", "", "eased", "", "cleared"]


def test_a_number_that_trembles_raises_one_alert() -> None:
    """Until it is better than the threshold by the hysteresis."""
    assert events(latency(), 0.101, 0.099, 0.101, 0.091, 0.0899) == ["raised", "", "", "", "cleared"]
    assert events(hit_rate(), 0.79, 0.81, 0.79, 0.87, 0.89) == ["raised", "", "", "", "cleared"]


def test_a_hit_rate_can_always_be_good_enough() -> None:
    """A threshold so high that the hysteresis would ask for more than everything is met half way."""
    assert events(hit_rate(warning="99%", critical="95%"), 0.98, 0.994, 0.996) == ["raised", "", "cleared"]
    assert events(hit_rate(warning="100%", critical=None), 0.99, 1.0) == ["raised", "cleared"]


def test_a_short_peak_is_not_sustained() -> None:
    """It has to be bad without a break; the time counts from when it became so."""
    judge = latency(sustained="20s")
    assert events(judge, 0.2, 0.2, 0.05, 0.2, 0.2, 0.2) == ["", "", "", "", "", "raised"]


def test_each_severity_has_to_be_sustained() -> None:
    """A warning that has lasted long becomes critical only once that has lasted, too."""
    assert events(latency(sustained="20s"), 0.2, 0.2, 0.6, 0.6, 0.6) == ["", "", "raised", "", "worsened"]


def test_clearing_is_not_sustained() -> None:
    """What is good again is told at once."""
    assert events(latency(sustained="20s"), 0.2, 0.2, 0.2, 0.01) == ["", "", "raised", "cleared"]


def test_too_little_to_judge_by_is_not_bad() -> None:
    """Nothing is raised, what is raised is cleared, and it has to be sustained anew; the change says why."""
    assert events(latency(sustained="10s"), 0.2, None, 0.2, 0.2) == ["", "", "", "raised"]
    judge = latency()
    judge.look(0.2, 0)
    change = judge.look(None, 10)
    assert change is not None
    assert (change.event, change.judged, change.alert.value) == ("cleared", False, 0.2)


@pytest.mark.parametrize(("warning", "critical", "expected"), [("100ms", None, WARNING), (None, "100ms", CRITICAL)])
def test_one_threshold_is_enough(warning: str | None, critical: str | None, expected: Severity) -> None:
    """The other severity never comes."""
    judge = latency(warning=warning, critical=critical)
    change = judge.look(9.0, 0)
    assert change is not None
    assert (change.alert.severity, change.alert.threshold) == (expected, 0.1)
    assert events(judge, 9.0, 0.0) == ["", "cleared"]


def test_what_is_told_is_about_the_threshold_that_counts() -> None:
    """The number, the threshold, the line of the profile, and since when."""
    judge = latency()
    judge.look(0.2, 1.0)
    change = judge.look(0.6, 2.0)
    assert change is not None
    assert (change.alert.value, change.alert.threshold, change.alert.key) == (0.6, 0.5, "alerts.response_time.critical")
    assert (change.alert.raised_at, change.at, change.before) == (2.0, 2.0, WARNING)
    judge.look(0.7, 3.0)
    assert judge.raised is not None
    assert (judge.raised.value, judge.raised.raised_at) == (0.7, 2.0)
    cleared = judge.look(0.0, 4.0)
    assert cleared is not None
    assert (cleared.alert.threshold, cleared.before) == (0.5, CRITICAL)


class Model:
    """The rules in the plainest words, from the whole past each time."""

    def __init__(self, warning: float, critical: float, sustained: float, hysteresis: float, *, low: bool) -> None:
        self.bounds = {WARNING: warning, CRITICAL: critical}
        self.sustained, self.hysteresis, self.low = sustained, hysteresis, low
        self.past: list[tuple[float, float | None]] = []
        self.severity = OK

    def look(self, value: float | None, now: float) -> Severity:
        self.past.append((now, value))
        self.severity = max((each for each in self.bounds if self.counts(each)), default=OK)
        return self.severity

    def counts(self, severity: Severity) -> bool:
        now, value = self.past[-1]
        bound = self.bounds[severity]
        if value is None:
            return False
        if self.severity >= severity:
            return value < bound * (1 + self.hysteresis) if self.low else value > bound * (1 - self.hysteresis)
        bad_since = now
        for at, earlier in reversed(self.past):
            if earlier is None or not (earlier < bound if self.low else earlier >= bound):
                break
            bad_since = at
        bad = value < bound if self.low else value >= bound
        return bad and now - bad_since >= self.sustained


VALUES = st.lists(st.none() | st.integers(0, 40), max_size=40)


@given(VALUES, st.booleans(), st.sampled_from([0.0, 10.0, 30.0]), st.sampled_from([0.05, 0.25]), st.integers(0, 10))
def test_it_judges_as_the_plain_rules_do(
    values: list[int | None], low: bool, sustained: float, hysteresis: float, apart: int
) -> None:
    """Whatever the numbers, for high-is-bad and low-is-bad, with sustained and hysteresis."""
    warning, critical = (10 + apart, 10) if low else (10, 10 + apart)
    about = {"sustained": f"{sustained:g}s", "hysteresis": f"{hysteresis * 100:g}%"}
    table = {"warning": f"{warning}B", "critical": f"{critical}B", **about}
    judge = Judge("disk" if low else "memory", "", SizeAlert.model_validate(table))
    model = Model(warning, critical, sustained, hysteresis, low=low)
    before = OK
    for number, value in enumerate(values):
        change = judge.look(value, number * 10.0)
        expected = model.look(value, number * 10.0)
        assert (judge.raised.severity if judge.raised else OK) == expected
        assert (change is not None) == (expected != before)
        before = expected


@given(st.lists(st.floats(0.0901, 0.2), max_size=50))
def test_within_the_hysteresis_nothing_changes(values: list[float]) -> None:
    """Once it is raised, however the number goes up and down between the two bounds."""
    judge = latency(critical=None)
    judge.look(0.15, 0)
    assert events(judge, *values) == [""] * len(values)


@given(VALUES.filter(bool), st.sampled_from([20.0, 40.0]))
def test_nothing_is_raised_before_it_was_sustained(values: list[int | None], sustained: float) -> None:
    """At the moment of a raise, every number since then was bad."""
    judge = Judge("memory", "", SizeAlert.model_validate({"warning": "10B", "sustained": f"{sustained:g}s"}))
    for number, value in enumerate(values):
        change: Change | None = judge.look(value, number * 10.0)
        if change is not None and change.event == "raised":
            lasted = int(sustained // 10)
            recent = values[max(0, number - lasted) : number + 1]
            assert len(recent) == lasted + 1
            assert all(each is not None and each >= 10 for each in recent)


@pytest.mark.parametrize("kind", [SizeAlert, RatioAlert, DurationAlert])
def test_a_threshold_of_nothing_is_refused(kind: type[Alert]) -> None:
    """What can never be below it would be raised for ever, and cleared in between."""
    unit = {SizeAlert: "0B", RatioAlert: "0%", DurationAlert: "0s"}[kind]
    with pytest.raises(ValueError, match="warning"):
        kind.model_validate({"warning": unit})
