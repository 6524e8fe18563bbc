from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from gateway.profile.units import (
    format_duration,
    format_ratio,
    format_size,
    parse_duration,
    parse_ratio,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0B", 0), ("256MB", 256_000_000), ("256 MB", 256_000_000), ("1.5kb", 1500), ("1KiB", 1024), ("2GiB", 2**31)],
)
def test_sizes(text: str, size: int) -> None:
    """KB, MB and so on are decimal, KiB, MiB and so on binary, whatever their case."""
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0s", 0.0), ("50ms", 0.05), ("15m", 900.0), ("1h30m", 5400.0), ("0.5s", 0.5), ("250us", 0.00025)],
)
def test_durations(text: str, seconds: float) -> None:
    """Durations are numbers with units, one or several."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(("text", "ratio"), [("0%", 0.0), ("0.1%", 0.001), ("90%", 0.9), ("100%", 1.0)])
def test_ratios(text: str, ratio: float) -> None:
    """Percentages are fractions of one."""
    assert parse_ratio(text) == ratio


@pytest.mark.parametrize(
    ("parse", "value", "meant"),
    [
        (parse_size, "256 megs", '"256MB"'),
        (parse_size, 256_000_000, '"256MB"'),
        (parse_size, -1, None),
        (parse_size, True, None),
        (parse_size, "lots", None),
        (parse_size, "٣MB", None),
        (parse_duration, "30 secs", '"30s"'),
        (parse_duration, "15 minutes", '"15m"'),
        (parse_duration, "50 milliseconds", '"50ms"'),
        (parse_duration, "1 month", None),
        (parse_duration, 30, '"30s"'),
        (parse_duration, 0.05, '"50ms"'),
        (parse_duration, float("nan"), None),
        (parse_duration, "", None),
        (parse_ratio, 0.9, '"90%"'),
        (parse_ratio, 90, '"90%"'),
        (parse_ratio, "101%", None),
        (parse_ratio, None, None),
    ],
)
def test_not_a_quantity(parse: Callable[[Any], Any], value: Any, meant: str | None) -> None:
    """Whatever is no quantity is refused with an example, and with what was meant where that is likely."""
    with pytest.raises(PydanticCustomError) as caught:
        parse(value)
    context = caught.value.context or {}
    assert "such as" in context["expected"]
    assert context.get("suggestion") == meant


def test_too_much() -> None:
    """Quantities beyond what SQLite and a float carry exactly are refused."""
    with pytest.raises(PydanticCustomError, match='expected a size of at most "8388607TiB"'):
        parse_size("9999999TiB")
    with pytest.raises(PydanticCustomError, match='expected a duration of at most "3650d"'):
        parse_duration("3651d")


NUMBERS = st.decimals(0, 10**6, places=6).map(lambda number: f"{number:f}")


@given(NUMBERS, st.sampled_from(["B", "KB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"]))
def test_a_size_shown_is_the_same_size(number: str, unit: str) -> None:
    """What is read can be shown, and read again as the same number of bytes."""
    size = parse_size(number + unit)
    assert parse_size(format_size(size)) == size


@given(st.lists(st.tuples(NUMBERS, st.sampled_from(["us", "ms", "s"])), min_size=1, max_size=3))
def test_a_duration_shown_is_the_same_duration(parts: list[tuple[str, str]]) -> None:
    """What is read can be shown, and read again as the same number of seconds."""
    seconds = parse_duration("".join(number + unit for number, unit in parts))
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.integers(0, 3650 * 86400 * 10**6))
def test_every_microsecond_of_ten_years(micros: int) -> None:
    """A duration is exact to the microsecond, up to the longest."""
    assert parse_duration(format_duration(micros / 1e6)) == micros / 1e6


@given(st.decimals(0, 100, places=6))
def test_a_ratio_shown_is_the_same_ratio(percent: object) -> None:
    """What is read can be shown, and read again as the same fraction."""
    ratio = parse_ratio(f"{percent:f}%")
    assert parse_ratio(format_ratio(ratio)) == ratio


def test_the_shortest_spelling() -> None:
    """A quantity is shown in the largest unit that is exact."""
    assert [format_size(size) for size in (0, 1536, 4_000_000, 2**20)] == ["0B", "1536B", "4MB", "1MiB"]
    assert [format_duration(seconds) for seconds in (0.0, 0.05, 90.0, 900.0)] == ["0s", "50ms", "90s", "15m"]
    assert [format_ratio(ratio) for ratio in (0.0, 0.001, 0.9, 1.0)] == ["0%", "0.1%", "90%", "100%"]
