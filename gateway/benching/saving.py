"""A run as a file: what is written for later runs to be compared with, and how it is read again."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway import __version__
from gateway.atomic import write_atomically
from gateway.benching.calibration import CALIBRATION
from gateway.benching.model import Measurement
from gateway.benching.running import Plan
from gateway.errors import GatewayError
from gateway.printable import printable

FORMAT = 1
"""Raised whenever what stands in the file changes its meaning."""

_REMEDY = "measure again, with gateway bench --save FILE"
_LARGEST = 10_000_000
"""Bytes of a file that is read: a run has some ten thousand."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run was made; between different ones, ratios say less."""

    gateway: str
    python: str
    machine: str

    @classmethod
    def here(cls) -> Place:
        """What this process runs on."""
        python = f"{platform.python_implementation()} {platform.python_version()}"
        return cls(__version__, python, f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors")


class SavedSubject(BaseModel):
    """What a comparison needs of a subject."""

    model_config = ConfigDict(frozen=True, strict=True)

    ratio: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Saved(BaseModel):
    """A run that was read."""

    model_config = ConfigDict(frozen=True, strict=True)

    kind: Literal["bench"]
    format: Literal[1]
    calibration: int
    iterations: Annotated[int, Field(ge=1)]
    gateway: str
    python: str
    machine: str
    subjects: dict[str, SavedSubject]

    @property
    def place(self) -> Place:
        """Where it was made."""
        return Place(self.gateway, self.python, self.machine)

    @property
    def ratios(self) -> dict[str, float]:
        """The ratio of each subject."""
        return {name: subject.ratio for name, subject in self.subjects.items()}


def as_json(measurements: Sequence[Measurement], plan: Plan) -> dict[str, Any]:
    """A run as the file has it; durations are seconds, ratios are in iterations of the calibration loop."""
    return {
        "kind": "bench",
        "format": FORMAT,
        "calibration": CALIBRATION,
        "finished_at": time.time(),
        **asdict(Place.here()),
        **asdict(plan),
        "subjects": {one.name: _subject(one) for one in measurements},
    }


def _subject(one: Measurement) -> dict[str, Any]:
    return {
        "iterations": one.iterations,
        "operations": one.operations,
        "cost": asdict(one.cost),
        "operations_per_second": one.rate,
        "calibration": one.calibration,
        "ratio": one.ratio,
    }


def save(path: Path, document: dict[str, Any]) -> None:
    """Write a run. Raises GatewayError where the file can't be written."""
    try:
        write_atomically(path, orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
    except OSError as error:
        raise GatewayError(f"can't write {path}: {error.strerror or error}") from None


def read_saved(path: Path) -> Saved:
    """A run that was saved. Raises GatewayError for a file that can't be read, is another one, or is damaged."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST)
    except OSError as error:
        raise GatewayError(f"can't read {path}: {error.strerror or error}; {_REMEDY}") from None
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise _unexpected(path, "a run that gateway bench has saved", f"no JSON ({error})") from None
    kind = document.get("kind") if isinstance(document, dict) else None
    if kind != "bench":
        found = "something else" if kind is None else f"one of kind {printable(str(kind), 40)!r}"
        raise _unexpected(path, "a run that gateway bench has saved", found)
    for key, known in (("format", FORMAT), ("calibration", CALIBRATION)):
        if document.get(key) != known:
            raise _unexpected(path, f"{key} {known}, which this gateway writes", _shown(document.get(key)))
    try:
        return Saved.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise GatewayError(
            f"{path}: {printable(where, 100)}: {_lowered(first['msg'])}, found {_found(first)}; {_REMEDY}"
        ) from None


def _unexpected(path: Path, expected: str, found: str) -> GatewayError:
    return GatewayError(f"{path}: expected {expected}, found {found}; {_REMEDY}")


def _found(error: Any) -> str:
    return "nothing" if error["type"] == "missing" else _shown(error["input"])


def _shown(value: Any) -> str:
    return "none" if value is None else printable(orjson.dumps(value).decode(), 60)


def _lowered(sentence: str) -> str:
    return sentence.replace("Input should be", "expected").replace("Field required", "expected a value")
