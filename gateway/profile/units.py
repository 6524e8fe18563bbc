"""Quantities in a profile: strings with a unit in TOML, plain numbers in Python, strings again when shown.

A `Size` is bytes (int), a `Duration` seconds (float), a `Ratio` a fraction of one (float).
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

# Decimal multiples as in SI (1 KB = 1000 bytes), binary ones as in IEC 80000-13 (1 KiB = 1024 bytes).
_SIZES = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
_DURATIONS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?) ?([A-Za-z]{1,3})")
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(us|ms|s|m|h|d)")
_DURATION_WHOLE = re.compile(r"(?:\d{1,12}(?:\.\d{1,9})?(?:us|ms|s|m|h|d))+")
_RATIO = re.compile(r"(\d{1,3}(?:\.\d{1,6})?) ?%")

SIZE_EXPECTED = 'a size such as "256MB"'
DURATION_EXPECTED = 'a duration such as "15m" or "50ms"'
RATIO_EXPECTED = 'a percentage such as "90%"'


def _expected(what: str) -> PydanticCustomError:
    return PydanticCustomError("expected", "expected {expected}", {"expected": what})


def parse_size(value: Any) -> int:
    """Bytes of a size such as "256MB" (10**6) or "256MiB" (2**20)."""
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    unit = {name.lower(): factor for name, factor in _SIZES.items()}.get(match[2].lower()) if match else None
    if match is None or unit is None:
        raise _expected(SIZE_EXPECTED)
    return round(float(match[1]) * unit)


def parse_duration(value: Any) -> float:
    """Seconds of a duration such as "15m", "50ms" or "1h30m"."""
    if not isinstance(value, str) or not _DURATION_WHOLE.fullmatch(value):
        raise _expected(DURATION_EXPECTED)
    return sum(float(number) * _DURATIONS[unit] for number, unit in _DURATION.findall(value))


def parse_ratio(value: Any) -> float:
    """The fraction that a percentage such as "0.1%" stands for."""
    match = _RATIO.fullmatch(value) if isinstance(value, str) else None
    if match is None or float(match[1]) > 100:
        raise _expected(RATIO_EXPECTED)
    return float(match[1]) / 100


def format_size(size: int) -> str:
    """The shortest exact spelling of a number of bytes: 256000000 is "256MB", 1536 is "1536B"."""
    for unit, factor in sorted(_SIZES.items(), key=lambda item: -item[1]):
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return f"{size}B"


def format_duration(seconds: float) -> str:
    """The shortest exact spelling of a number of seconds: 900.0 is "15m", 0.05 is "50ms"."""
    micros = round(seconds * 1e6)
    for unit, factor in sorted(_DURATIONS.items(), key=lambda item: -item[1]):
        if micros and micros % round(factor * 1e6) == 0:
            return f"{micros // round(factor * 1e6)}{unit}"
    return "0s"


def format_ratio(ratio: float) -> str:
    """A fraction as a percentage: 0.001 is "0.1%"."""
    return f"{round(ratio * 100, 6):g}%"


def _unit(parse: Any, show: Any, pattern: str, example: str) -> tuple[Any, ...]:
    schema: dict[str, Any] = {"type": "string", "pattern": pattern, "examples": [example]}
    return BeforeValidator(parse), PlainSerializer(show, return_type=str), WithJsonSchema(schema)


Size = Annotated[int, *_unit(parse_size, format_size, r"^\d+(\.\d+)? ?([KMGT]i?)?B$", "256MB")]
Duration = Annotated[float, *_unit(parse_duration, format_duration, r"^(\d+(\.\d+)?(us|ms|s|m|h|d))+$", "15m")]
Ratio = Annotated[float, *_unit(parse_ratio, format_ratio, r"^\d+(\.\d+)? ?%$", "90%")]
