from __future__ import annotations

import pytest
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.pipeline.invalidation import Purges, Selector


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (Selector("key", "a"), True),
        (Selector("key", "b"), False),
        (Selector("tag", "t1"), True),
        (Selector("tag", "a"), False),
        (Selector("all"), True),
    ],
)
def test_a_selector_matches_what_it_names(selector: Selector, expected: bool) -> None:
    """A key is a key, a tag is a tag, and all is everything."""
    assert selector.matches("a", ("t1", "t2")) is expected


def test_a_purge_stops_only_the_loads_that_began_before_it() -> None:
    """A load from before the purge may not write back what it is about; one from after it may."""
    purges = Purges()
    with purges.load() as before:
        purges.record(Selector("tag", "t"))
        with purges.load() as after:
            assert not purges.allows(before, "k", ("t",))
            assert purges.allows(before, "k", ("other",))
            assert purges.allows(after, "k", ("t",))


class PurgesAgainstModel(RuleBasedStateMachine):
    """Loads and purges in any order: `allows` agrees with a model that forgets nothing, and the log does not grow."""

    def __init__(self) -> None:
        super().__init__()
        self.purges = Purges()
        self.history: list[Selector] = []
        self.loads: list[int] = []

    @rule()
    def begin(self) -> None:
        self.loads.append(self.purges.generation)
        self.purges.hold(self.purges.generation)

    @rule()
    def end(self) -> None:
        if self.loads:
            self.purges.release(self.loads.pop(0))

    @rule()
    def purge_a(self) -> None:
        self._purge(Selector("tag", "a"))

    @rule()
    def purge_b(self) -> None:
        self._purge(Selector("key", "b"))

    def _purge(self, selector: Selector) -> None:
        self.purges.record(selector)
        self.history.append(selector)

    @invariant()
    def agrees(self) -> None:
        for began in self.loads:
            for key, tags in (("b", ()), ("c", ("a",)), ("d", ())):
                allowed = not any(selector.matches(key, tags) for selector in self.history[began:])
                assert self.purges.allows(began, key, tags) is allowed

    @invariant()
    def forgets(self) -> None:
        if not self.loads:
            assert not self.purges._log


TestPurgesAgainstModel = PurgesAgainstModel.TestCase
