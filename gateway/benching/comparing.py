"""A run beside an earlier one: by how much each subject has changed, and which are slower than they may be. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Change:
    """A subject in both runs, by its ratios to the calibration loop of each."""

    name: str
    then: float
    now: float

    @property
    def factor(self) -> float:
        """How many times as much it costs now."""
        return self.now / self.then


@dataclass(frozen=True, slots=True)
class Comparison:
    """What has changed."""

    changes: tuple[Change, ...]
    only_now: tuple[str, ...]
    """Subjects that the earlier run does not have."""
    only_then: tuple[str, ...]
    """Subjects that this run does not have: they are gone, or were not asked for."""
    fail_above: float

    @property
    def slower(self) -> tuple[Change, ...]:
        """Those whose factor is above the limit, the worst first."""
        above = (change for change in self.changes if change.factor > self.fail_above)
        return tuple(sorted(above, key=lambda change: -change.factor))

    @property
    def summary(self) -> str:
        """The outcome in a sentence."""
        if not self.changes:
            return "nothing to compare: the runs have no subject in common"
        slower = self.slower
        if not slower:
            return f"passed: none of {len(self.changes)} subjects is above {self.fail_above:g} times its earlier cost"
        named = ", ".join(f"{change.name} ({change.factor:.3g} times)" for change in slower)
        return f"FAILED: above {self.fail_above:g} times the earlier cost: {named}"

    def as_json(self) -> dict[str, Any]:
        """As the result has it."""
        return {
            "fail_above": self.fail_above,
            "passed": not self.slower,
            "summary": self.summary,
            "factors": {change.name: change.factor for change in self.changes},
            "only_now": list(self.only_now),
            "only_then": list(self.only_then),
        }


def compared(now: Mapping[str, float], then: Mapping[str, float], fail_above: float) -> Comparison:
    """Two runs, each as the ratios of its subjects by name; in the order of the present one."""
    return Comparison(
        tuple(Change(name, then[name], ratio) for name, ratio in now.items() if name in then),
        tuple(name for name in now if name not in then),
        tuple(name for name in then if name not in now),
        fail_above,
    )
