from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.benching.calibration import calibrate, calibration_work
from gateway.benching.model import Measurement, Subject
from gateway.benching.running import Plan, measure, measure_all, measure_with_doubt, selected
from gateway.errors import GatewayError
from tests.benching.scripted import Script, subject


@pytest.mark.parametrize("iterations", [1, 7, 10, 103])
async def test_what_counts(tmp_path: Path, iterations: int) -> None:
    """Warm-up is made and not counted, every iteration after it is, whatever parts they come in."""
    script = Script()
    found = await measure(subject(script=script), Plan(iterations, warmup=5), tmp_path)
    assert script.iterations == iterations + 5
    assert (found.iterations, found.cost.min, found.cost.max) == (iterations, 6.0, iterations + 5.0)
    assert found.calibration > 0


async def test_costs_are_of_one_operation(tmp_path: Path) -> None:
    """An iteration of several operations is shared out among them."""
    found = await measure(subject(script=Script(lambda _: 8.0), operations=4), Plan(3), tmp_path)
    assert (found.operations, found.cost.mean) == (4, 2.0)


async def test_one_after_the_other(tmp_path: Path) -> None:
    """Each subject has a folder of its own, is closed before the next one begins, and is told of as it begins."""
    scripts = [Script(), Script()]
    begun: list[tuple[str, int]] = []

    def begin(one: Subject) -> None:
        begun.append((one.name, sum(script.closed for script in scripts)))

    subjects = [subject("a.b", scripts[0]), subject("c", scripts[1])]
    found = await measure_all(subjects, Plan(1), tmp_path, begin)
    assert [one.name for one in found] == ["a.b", "c"]
    assert begun == [("a.b", 0), ("c", 1)]
    assert scripts[0].folders == [tmp_path / "a.b"]
    assert scripts[1].folders == [tmp_path / "c"]
    assert all(folder.is_dir() for script in scripts for folder in script.folders)


async def test_a_failure_closes_it(tmp_path: Path) -> None:
    """What fails in the middle is closed, and nothing after it begins."""

    def fail(number: int) -> float:
        if number == 3:
            raise GatewayError("no answer")
        return 1.0

    failing, never = Script(fail), Script()
    with pytest.raises(GatewayError, match="no answer"):
        await measure_all([subject("a", failing), subject("b", never)], Plan(9, 0), tmp_path, lambda _: None)
    assert (failing.closed, never.folders) == (1, [])


async def test_what_is_in_doubt_is_measured_again(tmp_path: Path) -> None:
    """A subject that is in doubt is measured again until it is not, at most twice; of all that, the least counts."""
    quick, better = Script(lambda _: 1.0), Script(lambda number: 1e4 / 1e2**number)
    worse = Script(lambda number: 1e2**number)
    subjects = [subject("quick", quick), subject("better", better), subject("worse", worse)]

    def doubtful(found: Sequence[Measurement]) -> set[str]:
        return {one.name for one in found if one.cost.min > 50}

    found = await measure_with_doubt(subjects, Plan(1, 0), tmp_path, lambda _: None, doubtful)
    assert [(one.name, one.cost.min) for one in found] == [("quick", 1.0), ("better", 1.0), ("worse", 100.0)]
    assert (quick.iterations, better.iterations, worse.iterations) == (1, 2, 3)
    assert len(set(worse.folders)) == 3


def test_selected() -> None:
    """Globs choose subjects, in the order of the suite and each once; without any it is all of them."""
    suite = [subject(name) for name in ("memory.get", "memory.put", "key")]
    assert selected(suite, ()) == suite
    assert [one.name for one in selected(suite, ("key", "*.get", "memory.get"))] == ["memory.get", "key"]


def test_no_such_subject() -> None:
    """A glob that nothing matches is a sentence that says what there is."""
    with pytest.raises(GatewayError) as caught:
        selected([subject("memory.get"), subject("key")], ("key", "disk.*"))
    assert str(caught.value) == (
        "--only: expected the name of a subject or a glob, found 'disk.*'; there are memory.get, key"
    )


def test_calibration_is_fixed_work() -> None:
    """The loop does the same each time; its result changes only together with CALIBRATION."""
    assert calibration_work() == calibration_work() == 544
    assert len(calibrate(3)) == 3
