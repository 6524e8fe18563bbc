"""What scaling has done so far: it outlives a reload."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.telemetry.metrics import Counts, Metric
from gateway.watch.scaling.model import Refusal, Standing, Step

_KEPT = 100
"""Steps that are remembered for whoever wants to see them."""


@dataclass(frozen=True, slots=True)
class Done:
    """A step that was made."""

    at: float
    """Seconds since the epoch."""
    step: Step


class Scaled:
    """The last steps, newest first; why what load would have grow stays as it is; how often either happened."""

    def __init__(self) -> None:
        self.steps: deque[Done] = deque(maxlen=_KEPT)
        self.refusals: dict[str, Refusal] = {}
        """Those of the last look, by key."""
        self.standings: Mapping[str, Standing] = {}
        """What the decision remembers."""
        self._moved = Counts(
            "gateway_scaling_steps", "Limits that were moved: `direction` is up or down", "key", "direction"
        )
        self._refused = Counts(
            "gateway_scaling_refusals",
            "Limits that load would have had grow: `reason` is bound, budget, flat (the curve), unknown (too few reads "
            "for a curve), useless (more would not help) or disk",
            *("key", "reason"),
        )

    def moved(self, at: float, step: Step) -> None:
        """Remember a step."""
        self.steps.appendleft(Done(at, step))
        self._moved.add(step.key, "up" if step.after > step.before else "down")

    def refused(self, refusals: Mapping[str, Refusal]) -> list[Refusal]:
        """Remember the refusals of a look; those that were not there for the same reason at the look before."""
        known = {key: refusal.why for key, refusal in self.refusals.items()}
        self.refusals = dict(refusals)
        new = [refusal for key, refusal in refusals.items() if known.get(key) != refusal.why]
        for refusal in new:
            self._refused.add(refusal.key, refusal.why)
        return new

    def metrics(self) -> list[Metric]:
        """How often limits were moved, and were not."""
        return [self._moved.metric(), self._refused.metric()]
