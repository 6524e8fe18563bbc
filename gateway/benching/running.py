"""A run: each subject opened, warmed up and measured, with the calibration loop in between."""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import trio

from gateway.benching.calibration import calibrate
from gateway.benching.model import Measurement, Numbers, Subject
from gateway.errors import GatewayError

_SLICES = 10
"""How many parts the iterations of a subject come in; the calibration loop runs before, between and after them."""
_CALIBRATIONS = 50
"""Iterations of the calibration loop each time: half a millisecond."""

_AGAIN = 2
"""How often what is in doubt is measured again."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    iterations: int = 1000
    warmup: int = 10


def selected(subjects: Sequence[Subject], patterns: Sequence[str]) -> list[Subject]:
    """The subjects whose names match one of the globs; all where there are none.

    Raises GatewayError for a glob that no subject matches.
    """
    for pattern in patterns:
        if not any(fnmatchcase(subject.name, pattern) for subject in subjects):
            names = ", ".join(subject.name for subject in subjects)
            raise GatewayError(
                f"--only: expected the name of a subject or a glob, found {pattern!r}; there are {names}"
            )
    return [
        subject
        for subject in subjects
        if not patterns or any(fnmatchcase(subject.name, pattern) for pattern in patterns)
    ]


async def measure_all(
    subjects: Sequence[Subject], plan: Plan, folder: Path, begin: Callable[[Subject], None]
) -> list[Measurement]:
    """What was found of each, in their order; `begin` is told of each as it begins.

    Raises GatewayError where one can't be measured: it is the one that `begin` was told of last.
    """
    found = []
    for subject in subjects:
        begin(subject)
        own = folder / subject.name
        await trio.Path(own).mkdir(parents=True)
        found.append(await measure(subject, plan, own))
    return found


async def measure_with_doubt(
    subjects: Sequence[Subject],
    plan: Plan,
    folder: Path,
    begin: Callable[[Subject], None],
    doubtful: Callable[[Sequence[Measurement]], Collection[str]],
) -> list[Measurement]:
    """What was found of each, where those that `doubtful` names are measured again, up to twice: the least counts.

    Other work on the machine can make a subject look slower than it is, and never quicker. Raises as `measure_all`.
    """
    found = await measure_all(subjects, plan, folder, begin)
    for number in range(_AGAIN):
        names = doubtful(found)
        if not names:
            break
        doubted = [subject for subject in subjects if subject.name in names]
        again = {one.name: one for one in await measure_all(doubted, plan, folder / f"again-{number}", begin)}
        found = [min(one, again.get(one.name, one), key=lambda either: either.ratio) for one in found]
    return found


async def measure(subject: Subject, plan: Plan, folder: Path) -> Measurement:
    """What is found of one subject.

    Garbage is collected once before it begins, so that none of another subject's is left. After that the collector
    stays on, as it is in a gateway that runs: its pauses are in mean, p99 and max, and the least cost is without any.
    """
    iterations = subject.iterations(plan.iterations)
    costs: list[float] = []
    async with subject.open(folder) as iterate:
        for _ in range(subject.warmup(plan.warmup)):
            await iterate()
        gc.collect()
        calibrate(_CALIBRATIONS)
        calibrations = calibrate(_CALIBRATIONS)
        for count in _slices(iterations):
            costs += [await iterate() / subject.operations for _ in range(count)]
            calibrations += calibrate(_CALIBRATIONS)
    return Measurement(subject.name, iterations, subject.operations, Numbers.of(costs), min(calibrations))


def _slices(iterations: int) -> list[int]:
    """How many iterations each part has: as even as can be, none empty."""
    parts = min(_SLICES, iterations)
    return [(iterations * (part + 1)) // parts - (iterations * part) // parts for part in range(parts)]
