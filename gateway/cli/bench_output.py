"""What a run of the benchmarks tells a person: which subject it is at, tables, and what has changed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import fields

from rich.console import Group
from rich.table import Table
from rich.text import Text

from gateway.benching.comparing import Comparison
from gateway.benching.model import Measurement, Subject
from gateway.benching.running import Plan
from gateway.benching.saving import Place, Saved
from gateway.loading.verdict import spelled
from gateway.printable import printable

_COSTS = ("mean", "min", "median", "p95", "p99", "max")
_CLEAR = "\r\x1b[K"


def show_progress(subject: Subject, number: int, of: int) -> None:
    """Say on stderr which subject it is at, on the line that said so before: no task that would be measured, too."""
    where = f"{number}/{of}" if number <= of else "again"
    sys.stderr.write(f"{_CLEAR}{where}  {subject.name}")
    sys.stderr.flush()


def clear_progress() -> None:
    """Take that line away."""
    sys.stderr.write(_CLEAR)
    sys.stderr.flush()


def subjects_table(subjects: Sequence[Subject]) -> Table:
    """What there is to measure."""
    table = _table("subject", "what one operation is", left=2)
    for subject in subjects:
        table.add_row(subject.name, subject.about)
    return table


def measurements_table(measured: Sequence[Measurement]) -> Table:
    """What each subject costs: seconds, operations a second, and iterations of the calibration loop."""
    table = _table("subject", "iterations", *_COSTS, "operations/s", "ratio", left=1)
    for one in measured:
        several = f"{one.iterations:,} x {one.operations}" if one.operations > 1 else f"{one.iterations:,}"
        costs = (spelled(getattr(one.cost, name)) for name in _COSTS)
        table.add_row(
            one.name, several, *costs, f"{one.rate:,.3g}" if one.rate < 100 else f"{one.rate:,.0f}", ratio(one.ratio)
        )
    return table


def comparison_table(comparison: Comparison, remarks: Sequence[str]) -> Group:
    """What has changed since an earlier run, what is to be known about that, and the outcome."""
    table = _table("subject", "ratio then", "ratio now", "now/then", left=1)
    for change in comparison.changes:
        above = change.factor > comparison.fail_above
        factor = Text(f"{change.factor:.3f}", style="bold red" if above else "")
        table.add_row(printable(change.name), ratio(change.then), ratio(change.now), factor)
    told = [Text(remark, style="yellow") for remark in remarks]
    style = "bold red" if comparison.slower or not comparison.changes else "green"
    return Group(Text(), table, Text(), *told, Text(printable(comparison.summary, None), style=style))


def remarks_on(comparison: Comparison, earlier: Saved, plan: Plan) -> list[str]:
    """What makes two runs hard to compare, and which subjects only one of them has."""
    here, there = Place.here(), earlier.place
    facts = [(field.name, getattr(there, field.name), getattr(here, field.name)) for field in fields(Place)]
    facts.append(("number of iterations", str(earlier.iterations), str(plan.iterations)))
    remarks = [
        f"the {what} was another: {printable(then, 80)} then, {now} now" for what, then, now in facts if then != now
    ]
    if comparison.only_now:
        remarks.append(f"not measured then: {', '.join(comparison.only_now)}")
    if comparison.only_then:
        remarks.append(f"not measured now: {', '.join(printable(name) for name in comparison.only_then)}")
    return remarks


def ratio(value: float) -> str:
    """A ratio for people: three digits, and no exponent."""
    return f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"


def _table(*columns: str, left: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number < left else "right", no_wrap=number != 1 or left == 1)
    return table
