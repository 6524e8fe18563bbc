"""What to move, and why: pure, from readings and what is remembered to steps and refusals.

- A limit is moved only after `looks` looks in a row that say the same, and is left alone for `cooldown` then. What
  has grown is not idle by that, nor what has shrunk full (`Scaling` sees to it), so under an even load it rests.
- Growth has to help. Of a cache, its miss-ratio curve says what a larger one would find; of a pool, requests have to
  wait for it and the upstream has to be willing, and a step after which there are no more answers than before is taken
  back; of threads, tasks have to wait, and the processor has to have time for them.
- No growth leads past the memory budget: what is missing until a tier is full counts as used already. Above the budget
  the memory tier shrinks, without waiting for looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise

from gateway.profile.scaling import Scaling
from gateway.tiers.curve import Curve
from gateway.watch.scaling.model import SIZES, Reading, Refusal, Standing, Step, Surroundings, Trial, told

ENOUGH = 1000
"""Reads of a tier since it was last moved below which its curve says nothing; as many as it has entries at least."""
_WORTHWHILE = 1.05
"""Times the present: a growth that bounds or the budget cut to less is not worth a step, nor one that brings less."""
_LONG = 10
"""Cooldowns for which a pool does not grow again after it did so in vain."""
_BUSY = 0.95
"""Share of a core from which on more at once only means more waiting for the interpreter."""

Outcome = Step | Refusal


def decide(
    section: Scaling, readings: Iterable[Reading], around: Surroundings, standings: Mapping[str, Standing]
) -> tuple[list[Outcome], dict[str, Standing]]:
    """What comes of one look: at most one step or refusal for each limit; and what to remember until the next."""
    outcomes: list[Outcome] = []
    remembered: dict[str, Standing] = {}
    for reading in readings:
        standing = _noted(section, reading, standings.get(reading.key, Standing()))
        outcome = _outcome(section, reading, around, standing)
        if isinstance(outcome, Step):
            standing = _moved(section, reading, around, standing, outcome)
        if outcome is not None:
            outcomes.append(outcome)
        remembered[reading.key] = standing
    return outcomes, remembered


def rate_at(curve: Curve, factor: float) -> float:
    """The hit rate at `factor` times the present size: on the line between the two sizes that were looked at."""
    points = curve.points
    for left, right in pairwise(points):
        if left.factor <= factor <= right.factor:
            share = (factor - left.factor) / (right.factor - left.factor)
            return left.hit_rate + share * (right.hit_rate - left.hit_rate)
    return points[0].hit_rate if factor < points[0].factor else points[-1].hit_rate


def _noted(section: Scaling, reading: Reading, standing: Standing) -> Standing:
    high = standing.high + 1 if reading.wants and reading.load >= section.high else 0
    low = standing.low + 1 if not reading.wants and reading.peak < section.low else 0
    return replace(standing, high=high, low=low)


def _moved(section: Scaling, reading: Reading, around: Surroundings, standing: Standing, step: Step) -> Standing:
    trial, useless_until = None, standing.useless_until
    if reading.kind == "pool" and step.after > step.before:
        trial = Trial(step.before, reading.answers)
    elif standing.trial is not None and step.after == standing.trial.before:
        useless_until = around.now + _LONG * section.cooldown
    return Standing(moved_at=around.now, trial=trial, useless_until=useless_until)


def _outcome(section: Scaling, reading: Reading, around: Surroundings, standing: Standing) -> Outcome | None:
    if not reading.least <= reading.value <= reading.most:
        return _into_bounds(reading, around)
    if around.now - standing.moved_at < section.cooldown:
        return None
    if reading.kind == "memory" and around.resident > around.budget:
        return _yield_memory(section, reading, around)
    if standing.high >= section.looks:
        return _grow(section, reading, around, standing)
    if standing.low >= section.looks:
        return _shrink(section, reading)
    return None


def _into_bounds(reading: Reading, around: Surroundings) -> Outcome:
    after = min(max(reading.value, reading.least), reading.most)
    bounds = f"[scaling] keeps it between {told(reading.kind, reading.least)} and {told(reading.kind, reading.most)}"
    if reading.kind in SIZES and after > reading.value:
        allowed, refusal = _allowed(reading, around)
        if allowed <= reading.value:
            return Refusal(reading.key, refusal.why, f"{bounds}; {refusal.reason}")
        after = min(after, allowed)
    return _step(reading, after, bounds)


def _yield_memory(section: Scaling, reading: Reading, around: Surroundings) -> Outcome:
    """Above the budget: give up a part of what is used, since a limit that nothing reaches frees nothing."""
    seen = f"{_megabytes(around.resident)} are resident, above {around.budget_key} ({_megabytes(around.budget)})"
    after = max(reading.least, _rounded(reading, min(reading.value, reading.used) * section.shrink))
    if after >= reading.value:
        return Refusal(
            reading.key, "bound", f"{seen}, and the tier is at its least ({told(reading.kind, reading.least)})"
        )
    return _step(reading, after, seen)


def _grow(section: Scaling, reading: Reading, around: Surroundings, standing: Standing) -> Outcome:
    if reading.value >= reading.most:
        return Refusal(
            reading.key, "bound", f"{reading.evidence}; it is at its most ({told(reading.kind, reading.most)})"
        )
    match reading.kind:
        case "memory" | "disk":
            return _grow_tier(section, reading, around)
        case "pool":
            return _grow_pool(section, reading, around, standing)
        case "threads":
            return _grow_count(section, reading, around, reading.value + section.threads.step)


def _grow_tier(section: Scaling, reading: Reading, around: Surroundings) -> Outcome:
    curve = reading.curve
    if curve is None or curve.accesses < max(ENOUGH, reading.entries):
        known = 0 if curve is None else curve.accesses
        return Refusal(reading.key, "unknown", f"{reading.evidence}; after {known} reads its curve says too little")
    wanted = min(reading.most, int(reading.value * section.grow))
    allowed, refusal = _allowed(reading, around)
    after = _rounded(reading, min(wanted, allowed))
    if after < min(reading.value * _WORTHWHILE, reading.most):
        return Refusal(reading.key, refusal.why, f"{reading.evidence}; {refusal.reason}")
    now, then = rate_at(curve, 1.0), rate_at(curve, after / reading.value)
    if then - now < section.gain:
        found = f"{then:.1%} of its reads would find something with {told(reading.kind, after)}, now {now:.1%} do"
        return Refusal(reading.key, "flat", f"{reading.evidence}; {found}: too little more (scaling.gain)")
    saved = (then - now) * reading.reads
    reason = f"{reading.evidence}; the curve says that {then:.1%} of its reads find something then, now {now:.1%} do"
    return _step(reading, after, f"{reason}: {saved:.3g} a second fewer go on")


def _allowed(reading: Reading, around: Surroundings) -> tuple[int, Refusal]:
    """How large a tier may get by what is left of memory or of the disk, and what to say where that is too little."""
    if reading.kind == "memory":
        left = max(0, around.budget - around.resident)
        reason = f"{_megabytes(left)} are left of {around.budget_key} ({_megabytes(around.budget)})"
        return reading.used + left, Refusal(reading.key, "budget", reason)
    room = reading.most if reading.room is None else max(0, reading.room)
    reason = f"{_megabytes(room)} are free on the disk beyond monitors.disk"
    return reading.used + room, Refusal(reading.key, "disk", reason)


def _grow_pool(section: Scaling, reading: Reading, around: Surroundings, standing: Standing) -> Outcome:
    trial = standing.trial
    if trial is not None and _in_vain(reading, trial):
        before = f"{trial.answers:.3g} answers a second with {trial.before} at once"
        now = f"{reading.answers:.3g} with {reading.value}"
        return _step(reading, trial.before, f"more at once brought nothing: {before}, {now}")
    if around.now < standing.useless_until:
        return Refusal(
            reading.key, "useless", f"{reading.evidence}; more at once brought no more answers the last time"
        )
    return _grow_count(section, reading, around, max(reading.value + 1, int(reading.value * section.grow)))


def _in_vain(reading: Reading, trial: Trial) -> bool:
    brought_nothing = reading.answers < trial.answers * _WORTHWHILE
    return brought_nothing and reading.least <= trial.before < reading.value


def _grow_count(section: Scaling, reading: Reading, around: Surroundings, wanted: int) -> Outcome:
    if reading.objection:
        return Refusal(reading.key, "useless", f"{reading.evidence}; {reading.objection}")
    if around.cpu >= _BUSY:
        return Refusal(
            reading.key, "useless", f"{reading.evidence}; the process uses {around.cpu:.0%} of a core already"
        )
    if around.resident >= around.budget:
        seen = f"{_megabytes(around.resident)} are resident, of {around.budget_key} ({_megabytes(around.budget)})"
        return Refusal(reading.key, "budget", f"{reading.evidence}; {seen}")
    return _step(reading, min(reading.most, wanted), reading.evidence)


def _shrink(section: Scaling, reading: Reading) -> Outcome | None:
    """A smaller limit, which nothing that is there is given up for; None where it is as small as may be."""
    if reading.kind == "threads":
        wanted = reading.value - section.threads.step
    else:
        wanted = min(reading.value - 1, _rounded(reading, reading.value * section.shrink))
    after = max(reading.least, wanted, reading.used)
    return _step(reading, after, reading.evidence) if after < reading.value else None


def _step(reading: Reading, after: int, reason: str) -> Step:
    return Step(reading.key, reading.kind, reading.value, after, reason)


def _rounded(reading: Reading, value: float) -> int:
    """Three digits of a size are enough, and are never more; a count as it is."""
    whole = int(value)
    if reading.kind not in SIZES:
        return whole
    unit: int = 10 ** max(0, len(str(whole)) - 3)
    return whole // unit * unit


def _megabytes(value: int) -> str:
    return f"{value / 1e6:.0f} MB"
