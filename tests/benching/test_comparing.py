from __future__ import annotations

from gateway.benching.comparing import Change, compared


def test_changes() -> None:
    """What both runs have is compared, the rest is told, all in the order of the present run."""
    found = compared({"b": 3.0, "new": 1.0, "a": 1.0}, {"a": 2.0, "old": 1.0, "b": 2.0}, 1.2)
    assert found.changes == (Change("b", 2.0, 3.0), Change("a", 2.0, 1.0))
    assert [change.factor for change in found.changes] == [1.5, 0.5]
    assert (found.only_now, found.only_then) == (("new",), ("old",))


def test_slower() -> None:
    """Those above the limit are named, the worst first; the limit itself is allowed."""
    found = compared({"a": 1.5, "b": 4.0, "c": 1.25}, dict.fromkeys("abc", 1.0), 1.25)
    assert [change.name for change in found.slower] == ["b", "a"]
    assert found.summary == "FAILED: above 1.25 times the earlier cost: b (4 times), a (1.5 times)"
    assert not found.as_json()["passed"]


def test_passed() -> None:
    """Where nothing is above the limit, the summary says of how many."""
    found = compared({"a": 1.0, "b": 0.5}, {"a": 1.0, "b": 1.0}, 1.2)
    assert found.summary == "passed: none of 2 subjects is above 1.2 times its earlier cost"
    assert found.as_json() == {
        "fail_above": 1.2,
        "passed": True,
        "summary": found.summary,
        "factors": {"a": 1.0, "b": 0.5},
        "only_now": [],
        "only_then": [],
    }


def test_nothing_in_common() -> None:
    """Runs of other subjects are no failure, and no success either."""
    found = compared({"a": 1.0}, {"b": 1.0}, 1.2)
    assert found.summary == "nothing to compare: the runs have no subject in common"
    assert found.slower == ()
