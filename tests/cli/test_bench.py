from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from gateway.benching.comparing import compared
from gateway.benching.model import Measurement, Numbers
from gateway.benching.running import Plan
from gateway.benching.saving import Saved, as_json
from gateway.cli.bench_output import comparison_table, measurements_table, ratio, remarks_on, subjects_table
from tests.benching.scripted import subject

MEASURED = [
    Measurement("memory.get", 1000, 100, Numbers.of([1e-6, 2e-6]), 1e-5),
    Measurement("startup.stdio.initialize", 10, 1, Numbers.of([2.0, 4.0]), 1e-5),
]


def shown(part: Any) -> list[str]:
    """The lines of it on a wide terminal."""
    out = io.StringIO()
    Console(file=out, width=120).print(part, highlight=False)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def saved(**changes: Any) -> Saved:
    return Saved.model_validate({**as_json(MEASURED, Plan(1000, 10)), **changes})


def test_measurements() -> None:
    """A line for each subject: how often, what it costs, how many there are in a second, and its ratio."""
    head, quick, slow = shown(measurements_table(MEASURED))
    assert " ".join(head.split()) == "subject iterations mean min median p95 p99 max operations/s ratio"
    assert " ".join(quick.split()) == "memory.get 1,000 x 100 1.5 us 1 us 1.5 us 2 us 2 us 2 us 666,667 0.1"
    assert " ".join(slow.split()) == "startup.stdio.initialize 10 3 s 2 s 3 s 4 s 4 s 4 s 0.333 200,000"


def test_subjects() -> None:
    """The list says what each is."""
    assert shown(subjects_table([subject("a.b")]))[1].split(maxsplit=1) == ["a.b", "what a.b is"]


def test_a_comparison() -> None:
    """Both ratios and the factor of each subject, and the outcome with the names of those that are slower."""
    found = compared({"a": 3.0, "b": 1.0}, {"a": 2.0, "b": 1.0}, 1.2)
    lines = shown(comparison_table(found, ["a remark"]))
    assert [line.split() for line in lines[2:4]] == [["a", "2", "3", "1.500"], ["b", "1", "1", "1.000"]]
    assert lines[-2:] == ["a remark", "FAILED: above 1.2 times the earlier cost: a (1.5 times)"]


def test_remarks() -> None:
    """What makes runs hard to compare is told, and which subjects one of them lacks; else there is nothing to say."""
    same = compared({"a": 1.0}, {"a": 1.0}, 1.2)
    assert remarks_on(same, saved(), Plan(1000, 10)) == []
    other = compared({"a": 1.0, "new": 1.0}, {"a": 1.0, "old\x1b": 1.0}, 1.2)
    remarks = remarks_on(other, saved(python="CPython 2.7"), Plan(50, 10))
    assert remarks[0].startswith("the python was another: CPython 2.7 then, ")
    assert remarks[1:] == [
        "the number of iterations was another: 1000 then, 50 now",
        "not measured then: new",
        "not measured now: old?",
    ]


@pytest.mark.parametrize(("value", "text"), [(0.1234, "0.123"), (12.34, "12.3"), (999.0, "999"), (206384.2, "206,384")])
def test_ratios(value: float, text: str) -> None:
    """Three digits, and never an exponent."""
    assert ratio(value) == text
