from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway import __version__
from gateway.benching.model import Measurement, Numbers
from gateway.benching.running import Plan
from gateway.benching.saving import Place, as_json, read_saved, save
from gateway.errors import GatewayError

AGAIN = "measure again, with gateway bench --save FILE"


def document() -> dict[str, Any]:
    return as_json([Measurement("memory.get", 3, 100, Numbers.of([2e-6, 1e-6, 4e-6]), 1e-5)], Plan(3, 1))


def refusal(tmp_path: Path, content: bytes) -> str:
    """The sentence about a file, without its name."""
    path = tmp_path / "run.json"
    path.write_bytes(content)
    with pytest.raises(GatewayError) as caught:
        read_saved(path)
    told = str(caught.value)
    assert told.startswith(f"{path}: ")
    return told.removeprefix(f"{path}: ")


def test_what_is_saved_is_read(tmp_path: Path) -> None:
    """A run that was saved is read with its ratios, and where it was made."""
    save(tmp_path / "run.json", document())
    found = read_saved(tmp_path / "run.json")
    assert found.ratios == {"memory.get": pytest.approx(0.1)}
    assert found.place == Place.here()
    assert (found.gateway, found.iterations) == (__version__, 3)


def test_what_is_in_it() -> None:
    """The file has every number of every subject, and tells its kind and format."""
    written = orjson.loads(orjson.dumps(document()))
    assert (written["kind"], written["format"], written["calibration"], written["warmup"]) == ("bench", 1, 1, 1)
    subject = written["subjects"]["memory.get"]
    assert set(subject["cost"]) == {"mean", "min", "median", "max", "p95", "p99"}
    assert (subject["iterations"], subject["operations"], subject["calibration"]) == (3, 100, 1e-5)
    assert subject["operations_per_second"] == pytest.approx(428571.4)


@pytest.mark.parametrize(
    ("content", "expected", "found"),
    [
        (b"", "a run that gateway bench has saved", "no JSON (unexpected end of data: line 1 column 1 (char 0))"),
        (b"[]", "a run that gateway bench has saved", "something else"),
        (b'{"kind": "load"}', "a run that gateway bench has saved", "one of kind 'load'"),
        (b'{"kind": "bench"}', "format 1, which this gateway writes", "none"),
        (b'{"kind": "bench", "format": 2}', "format 1, which this gateway writes", "2"),
        (b'{"kind": "bench", "format": 1, "calibration": 9}', "calibration 1, which this gateway writes", "9"),
    ],
    ids=["empty", "another shape", "another report", "no format", "a later format", "another calibration loop"],
)
def test_foreign_files(tmp_path: Path, content: bytes, expected: str, found: str) -> None:
    """A file of something else is a sentence: what was expected, what was found, what to do."""
    told = refusal(tmp_path, content)
    assert told.startswith(f"expected {expected}, found {found.partition(' (')[0]}")
    assert told.endswith(f"; {AGAIN}")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"subjects": {"key": {"ratio": 0}}}, "subjects.key.ratio: expected greater than 0, found 0"),
        ({"subjects": {"key": {"ratio": "1"}}}, 'subjects.key.ratio: expected a valid number, found "1"'),
        ({"subjects": {"key": {}}}, "subjects.key.ratio: expected a value, found nothing"),
        ({"subjects": []}, "subjects: expected a valid dictionary, found []"),
        ({"iterations": 0}, "iterations: expected greater than or equal to 1, found 0"),
        ({"machine": None}, "machine: expected a valid string, found none"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_damaged_files(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    """A run that was tampered with is a sentence that names the place."""
    assert refusal(tmp_path, orjson.dumps({**document(), **changes})) == f"{sentence}; {AGAIN}"


def test_a_file_that_ends_early(tmp_path: Path) -> None:
    """Half of a run is no run."""
    content = orjson.dumps(document())
    assert "found no JSON" in refusal(tmp_path, content[: len(content) // 2])


def test_files_that_can_not_be_used(tmp_path: Path) -> None:
    """A file that is not there, and one that can't be written, are told as what they are."""
    with pytest.raises(GatewayError) as caught:
        read_saved(tmp_path / "none.json")
    assert str(caught.value) == f"can't read {tmp_path / 'none.json'}: No such file or directory; {AGAIN}"
    with pytest.raises(GatewayError) as caught:
        save(tmp_path, document())
    assert str(caught.value) == f"can't write {tmp_path}: it is not a regular file"
