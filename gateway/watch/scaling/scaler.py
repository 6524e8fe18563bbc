"""The scaler: looks at the load of each limit, and moves what has to be moved."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import structlog
import trio

from gateway.pipeline.clock import Clock
from gateway.profile.profile import Profile
from gateway.profile.units import format_size
from gateway.telemetry.metrics import Labels, Metric
from gateway.telemetry.series import Series
from gateway.watch.gauges import Gauges
from gateway.watch.monitors.memory import give_back
from gateway.watch.scaling.allowed import allowed_memory
from gateway.watch.scaling.decision import decide
from gateway.watch.scaling.levers import Lever
from gateway.watch.scaling.load import readings
from gateway.watch.scaling.model import Reading, Refusal, Step, Surroundings, told
from gateway.watch.scaling.scaled import Scaled

log = structlog.get_logger(__name__)

_WHOLE = 0.9
"""Of the window: with samples of less time it is too early to judge."""
_OWN_ROOM = 0.9
"""Of what the system lets the process have: beyond that it would be ended before it could give anything up."""


class Scaler:
    """Moves the limits of one gateway as its `[scaling]` has it. `run` is the service."""

    def __init__(
        self, profile: Profile, levers: Sequence[Lever], gauges: Gauges, series: Series, scaled: Scaled, clock: Clock
    ) -> None:
        self.section = profile.scaling
        self.levers = levers
        self.scaled = scaled
        self.readings: tuple[Reading, ...] = ()
        """What the last look saw."""
        self._profile = profile
        self._gauges = gauges
        self._series = series
        self._clock = clock

    @property
    def moved(self) -> list[Lever]:
        """The limits that are to be moved."""
        return [lever for lever in self.levers if self.section.enabled and lever.enabled]

    @cached_property
    def budget(self) -> tuple[int, str]:
        """Resident memory that no growth may lead to, and what says so."""
        own = self.section.memory_budget
        said = (
            (own, "scaling.memory_budget")
            if own is not None
            else (
                self._profile.monitors.memory.warning,
                "monitors.memory.warning",
            )
        )
        allowed = allowed_memory(workers=self._profile.server.workers)
        if allowed is None or allowed * _OWN_ROOM >= said[0]:
            return said
        return int(allowed * _OWN_ROOM), f"{_OWN_ROOM:.0%} of what the system allows (MemoryMax=)"

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Put back what is not to be moved; then look every `interval` until cancelled, where anything is."""
        self.restore()
        task_status.started()
        if not self.moved:
            await trio.sleep_forever()
        size, key = self.budget
        log.info("scaling", limits=[lever.key for lever in self.moved], budget=format_size(size), from_key=key)
        while True:
            await trio.sleep(self.section.interval)
            self.look()

    def restore(self) -> None:
        """Set each limit that is not to be moved, and was, to what the profile says."""
        moved = {lever.key for lever in self.moved}
        for lever in self.levers:
            if lever.key not in moved and lever.value != lever.start:
                self._make(lever, Step(lever.key, lever.kind, lever.value, lever.start, "it is not scaled any more"))

    def look(self) -> None:
        """Look once, and move what is to be moved; nothing while there are no samples of a whole window."""
        window = self._series.window(self.section.window)
        levers = {lever.key: lever for lever in self.moved}
        if window.seconds < self.section.window * _WHOLE:
            return
        self.readings = tuple(readings(levers.values(), window, self._profile))
        size, key = self.budget
        around = Surroundings(trio.current_time(), self._gauges.resident(), size, key, window.cpu or 0.0)
        outcomes, self.scaled.standings = decide(self.section, self.readings, around, self.scaled.standings)
        for step in outcomes:
            if isinstance(step, Step):
                self._make(levers[step.key], step)
        refusals = {each.key: each for each in outcomes if isinstance(each, Refusal)}
        for refusal in self.scaled.refused(refusals):
            say = log.debug if refusal.why == "unknown" else log.info  # that is so after every step, for a while
            say("limit not moved", key=refusal.key, why=refusal.why, reason=refusal.reason)

    def metrics(self) -> list[Metric]:
        """How loaded each limit is, and what was done; nothing where nothing is scaled."""
        if not self.section.enabled:
            return []
        loads: dict[Labels, float] = {(reading.key,): reading.load for reading in self.readings}
        limits: dict[Labels, float] = {(lever.key,): float(lever.value) for lever in self.moved}
        return [
            Metric("gateway_scaling_load_ratio", "How much of a limit is used, on average", "gauge", ("key",), loads),
            Metric("gateway_scaling_limit", "A limit at present: bytes or a count", "gauge", ("key",), limits),
            *self.scaled.metrics(),
        ]

    def _make(self, lever: Lever, step: Step) -> None:
        lever.move(step.after)
        if step.kind == "memory" and step.after < step.before:
            give_back()
        self.scaled.moved(self._clock(), step)
        before, after = (told(step.kind, each) for each in (step.before, step.after))
        log.info("limit moved", key=step.key, before=before, after=after, reason=step.reason)
