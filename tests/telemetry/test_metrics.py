from __future__ import annotations

from gateway.telemetry.metrics import Counts, Timings


def test_what_was_never_recorded_is_not_told() -> None:
    """A histogram that is only kept ready is no sample."""
    timings = Timings("t_seconds", "about", "tool")
    timings.of("idle")
    timings.of("busy").record(0.5)
    assert [labels for labels, _ in timings.items()] == [("busy",)]
    assert list(timings.metric().samples) == [("busy",)]


def test_the_same_labels_are_the_same_histogram() -> None:
    """So that it can be kept where it is used often."""
    timings = Timings("t_seconds", "about", "tool", "outcome")
    assert timings.of("a", "hit") is timings.of("a", "hit")
    assert timings.of("a", "hit") is not timings.of("a", "miss")


def test_histograms_are_grouped_by_some_labels() -> None:
    """Whatever the other labels say."""
    timings = Timings("t_seconds", "about", "tool", "outcome")
    for labels in (("a", "hit"), ("a", "miss"), ("b", "hit")):
        timings.of(*labels).record(1.0)
    assert {labels: len(found) for labels, found in timings.by("tool").items()} == {("a",): 2, ("b",): 1}
    assert {labels: len(found) for labels, found in timings.by("outcome").items()} == {("hit",): 2, ("miss",): 1}


def test_counts_add_up() -> None:
    """Apart for each combination of labels; what was never counted is none."""
    counts = Counts("c", "about", "monitor", "action")
    counts.add("memory", "emptied")
    counts.add("memory", "emptied", by=2)
    assert (counts.total("memory", "emptied"), counts.total("memory", "cleaned")) == (3, 0)
    assert counts.metric().samples == {("memory", "emptied"): 3}


def test_what_is_told_does_not_change_afterwards() -> None:
    """A counter that goes on is not the one that was told."""
    counts = Counts("c", "about", "monitor")
    counts.add("memory")
    told = counts.metric()
    counts.add("memory")
    assert told.samples == {("memory",): 1}
