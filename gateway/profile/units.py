"""Quantities in a profile: strings with a unit in TOML, plain numbers in Python, strings again when shown.

A `Size` is bytes (int), a `Duration` seconds (float), a `Ratio` a fraction of one (float).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from gateway.profile.section import expected

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
_SIZES_ANY_CASE = {name.lower(): factor for name, factor in _SIZES.items()}
_MICROSECONDS = {"us": 1, "ms": 10**3, "s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6}

# With these bounds whatever is read can be shown again without loss: SQLite's integers have 64 bits,
# and a float holds ten years in microseconds exactly.
_MAX_SIZE = 2**63 - 1
_MAX_MICROSECONDS = 3650 * _MICROSECONDS["d"]

_SIZE = re.compile(r"(\d{1,19}(?:\.\d{1,6})?) ?([A-Za-z]{1,3})", re.ASCII)
_DURATION = re.compile(r"(\d{1,16}(?:\.\d{1,6})?)(us|ms|s|m|h|d)", re.ASCII)
_DURATION_WHOLE = re.compile(rf"(?:{_DURATION.pattern})+", re.ASCII)
_RATIO = re.compile(r"(\d{1,3}(?:\.\d{1,6})?) ?%", re.ASCII)
_NEARLY = re.compile(r"(\d{1,16}(?:\.\d{1,6})?)\s*([A-Za-z]+)", re.ASCII)

SIZE_EXPECTED = 'a size such as "256MB"'
DURATION_EXPECTED = 'a duration such as "15m" or "50ms"'
RATIO_EXPECTED = 'a percentage such as "90%"'


def parse_size(value: Any) -> int:
    """Bytes of a size such as "256MB" (10**6) or "256MiB" (2**20)."""
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    unit = _SIZES_ANY_CASE.get(match[2].lower()) if match else None
    if match is None or unit is None:
        raise expected(SIZE_EXPECTED, suggestion=_meant_size(value))
    size = round(Decimal(match[1]) * unit)
    if size > _MAX_SIZE:
        raise expected('a size of at most "8388607TiB"')
    return size


def parse_duration(value: Any) -> float:
    """Seconds of a duration such as "15m", "50ms" or "1h30m", to the microsecond."""
    if not isinstance(value, str) or not _DURATION_WHOLE.fullmatch(value):
        raise expected(DURATION_EXPECTED, suggestion=_meant_duration(value))
    micros = round(sum(Decimal(number) * _MICROSECONDS[unit] for number, unit in _DURATION.findall(value)))
    if micros > _MAX_MICROSECONDS:
        raise expected('a duration of at most "3650d"')
    return micros / 1e6


def parse_ratio(value: Any) -> float:
    """The fraction that a percentage such as "0.1%" stands for."""
    match = _RATIO.fullmatch(value) if isinstance(value, str) else None
    if match is None or float(match[1]) > 100:
        raise expected(RATIO_EXPECTED, suggestion=_meant_ratio(value))
    return float(Decimal(match[1]) / 100)


def format_size(size: int) -> str:
    """The shortest exact spelling of a number of bytes: 256000000 is "256MB", 1536 is "1536B"."""
    for unit, factor in sorted(_SIZES.items(), key=lambda item: -item[1]):
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return f"{size}B"


def format_duration(seconds: float) -> str:
    """The shortest exact spelling of a number of seconds: 900.0 is "15m", 0.05 is "50ms"."""
    micros = round(seconds * 1e6)
    for unit, factor in sorted(_MICROSECONDS.items(), key=lambda item: -item[1]):
        if micros and micros % factor == 0:
            return f"{micros // factor}{unit}"
    return "0s"


def format_ratio(ratio: float) -> str:
    """A fraction as a percentage: 0.001 is "0.1%"."""
    percent = f"{Decimal(repr(ratio)) * 100:f}"
    return f"{percent.rstrip('0').rstrip('.') if '.' in percent else percent}%"


def _meant_size(value: Any) -> str | None:
    """What a size without a usable unit probably stands for, as TOML: a number counts bytes."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f'"{format_size(value)}"' if 0 <= value <= _MAX_SIZE else None
    match = _NEARLY.fullmatch(value) if isinstance(value, str) else None
    letter = match[2][0].upper() if match else ""
    return f'"{match[1]}{letter}B"' if match and letter in "KMGT" else None


def _meant_duration(value: Any) -> str | None:
    """What a duration without a usable unit probably stands for, as TOML: a number counts seconds."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f'"{format_duration(value)}"' if 0 <= value <= _MAX_MICROSECONDS / 1e6 else None
    match = _NEARLY.fullmatch(value) if isinstance(value, str) else None
    word = match[2].lower() if match else ""
    units = {"ms": "ms", "mil": "ms", "us": "us", "mic": "us", "s": "s", "m": "m", "h": "h", "d": "d"}
    unit = next((unit for start, unit in units.items() if word.startswith(start)), None)
    return f'"{match[1]}{unit}"' if match and unit and not word.startswith("mo") else None  # a month is no unit


def _meant_ratio(value: Any) -> str | None:
    """What a bare number probably stands for, as TOML: up to 1 a fraction, above that a percentage."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 100:
        return None
    return f'"{format_ratio(value)}"' if value <= 1 else f'"{value:g}%"'


@dataclass(frozen=True, slots=True)
class _Unit:
    """Parsing, showing and the JSON Schema, which lets `${…}` pass: an editor can't know what it stands for.

    A third of all keys have a unit, and this is a third of the work that pydantic has with marks of its own.
    """

    parse: Callable[[Any], Any]
    show: Callable[[Any], str]
    pattern: str
    example: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.plain_serializer_function_ser_schema(self.show, return_schema=core_schema.str_schema())
        return core_schema.no_info_before_validator_function(self.parse, handler(source), serialization=text)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": rf"^({self.pattern})$|\$\{{", "examples": [self.example]}


Size = Annotated[int, _Unit(parse_size, format_size, r"\d+(\.\d+)? ?([KkMmGgTt]i?)?[Bb]", "256MB")]
Duration = Annotated[float, _Unit(parse_duration, format_duration, r"(\d+(\.\d+)?(us|ms|s|m|h|d))+", "15m")]
Ratio = Annotated[float, _Unit(parse_ratio, format_ratio, r"\d+(\.\d+)? ?%", "90%")]
