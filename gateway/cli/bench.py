"""`gateway bench`: what the parts of the gateway cost on this machine, and whether that is more than it was."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import orjson
import trio
from cyclopts import Parameter, validators
from rich.console import Console

from gateway.benching.comparing import Comparison, compared
from gateway.benching.model import Measurement, Subject
from gateway.benching.running import Plan, measure_with_doubt, selected
from gateway.benching.saving import Saved, as_json, read_saved
from gateway.benching.saving import save as save_run
from gateway.benching.suite import SUITE
from gateway.cli.bench_output import (
    clear_progress,
    comparison_table,
    measurements_table,
    remarks_on,
    show_progress,
    subjects_table,
)
from gateway.cli.exits import FAILED, INTERRUPTED
from gateway.cli.run import cancel_on_signal, first, run, writable
from gateway.errors import GatewayError
from gateway.telemetry.logs import set_up_logging

_WIDTH = 120
"""Columns that the tables need. A narrower terminal wraps their lines; nothing is left out, also in a log."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    subjects: Sequence[Subject]
    plan: Plan
    as_json: bool
    save: Path | None
    earlier: Saved | None
    fail_above: float


def bench(
    *,
    iterations: Annotated[
        int,
        Parameter(help="Measured iterations; what takes long has a fixed share.", validator=validators.Number(gte=1)),
    ] = 1000,
    warmup: Annotated[int, Parameter(help="Iterations ahead, not counted.", validator=validators.Number(gte=0))] = 10,
    only: Annotated[
        tuple[str, ...], Parameter(negative="", help="A glob over the names of subjects. Can be repeated.")
    ] = (),
    json: Annotated[bool, Parameter(negative="", help="Print the result as JSON.")] = False,
    save: Annotated[Path | None, Parameter(help="Write it there as JSON, for --compare.")] = None,
    compare: Annotated[Path | None, Parameter(help="An earlier run that was saved.")] = None,
    fail_above: Annotated[
        float, Parameter(help="How many times as much as then a subject may cost.", validator=validators.Number(gt=0))
    ] = 1.2,
    list_: Annotated[
        bool, Parameter(name="--list", negative="", help="Say what the subjects are, and no more.")
    ] = False,
) -> int:
    """Measure what the parts of the gateway cost: tiers, codec, key, hits, misses, batches, purges, start-up.

    It needs no profile and no network but loopback. Each cost is also told in iterations of a calibration loop that
    runs in between, so that runs on a machine of another speed can be compared. With --compare it exits with 1 where a
    subject costs more than --fail-above times what it did, in such iterations, also when it is measured again.
    """
    subjects = selected(SUITE, only)
    if list_:
        _console().print(subjects_table(subjects), highlight=False)
        return 0
    writable(save)
    earlier = None if compare is None else read_saved(compare)
    set_up_logging("error", "auto")
    wanted = _Wanted(subjects, Plan(iterations, warmup), json, save, earlier, fail_above)
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        return run(partial(_bench, wanted, Path(folder)))


async def _bench(wanted: _Wanted, folder: Path) -> int:
    measured: list[Measurement] | None = None
    async with trio.open_nursery() as nursery:
        await nursery.start(cancel_on_signal, nursery.cancel_scope)  # which ends the processes of the suite, too
        measured = await _measured(wanted, folder)
        nursery.cancel_scope.cancel()
    if measured is None:
        return INTERRUPTED
    document = as_json(measured, wanted.plan)
    comparison = _comparison(wanted, measured)
    if comparison is not None:
        document["comparison"] = comparison.as_json()
    if wanted.as_json:
        sys.stdout.write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        _console().print(measurements_table(measured), highlight=False)
    if comparison is not None and wanted.earlier is not None and not wanted.as_json:
        remarks = remarks_on(comparison, wanted.earlier, wanted.plan)
        _console().print(comparison_table(comparison, remarks), highlight=False)
    if wanted.save is not None:
        await trio.to_thread.run_sync(save_run, wanted.save, document)
    return FAILED if comparison is not None and comparison.slower else 0


def _comparison(wanted: _Wanted, measured: Sequence[Measurement]) -> Comparison | None:
    if wanted.earlier is None:
        return None
    return compared({one.name: one.ratio for one in measured}, wanted.earlier.ratios, wanted.fail_above)


async def _measured(wanted: _Wanted, folder: Path) -> list[Measurement]:
    """What was found. Raises GatewayError with the name of the subject that can't be measured."""
    begun: list[Subject] = []

    def begin(subject: Subject) -> None:
        begun.append(subject)
        if sys.stderr.isatty():
            show_progress(subject, len(begun), len(wanted.subjects))

    def slower(measured: Sequence[Measurement]) -> set[str]:
        comparison = _comparison(wanted, measured)
        return set() if comparison is None else {change.name for change in comparison.slower}

    try:
        return await measure_with_doubt(wanted.subjects, wanted.plan, folder, begin, slower)
    except* (GatewayError, OSError) as group:
        raise GatewayError(f"{begun[-1].name} can't be measured: {first(group)}") from None
    finally:
        if sys.stderr.isatty():
            clear_progress()


def _console() -> Console:
    """One that cuts nothing off."""
    return Console(width=max(_WIDTH, Console().width))
