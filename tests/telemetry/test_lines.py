"""Lines that are filled in are those that structlog writes, to the byte."""

from __future__ import annotations

import io
import re
from contextvars import copy_context
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from structlog.contextvars import bind_contextvars, bound_contextvars, clear_contextvars

from gateway.telemetry.lines import Line
from gateway.telemetry.logs import set_up_logging
from gateway.telemetry.requests import Requests
from gateway.telemetry.telemetry import Telemetry

Level = Literal["info", "warning"]
TIME = re.compile(r"20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{6})?Z?")
KEYS = st.sampled_from(["kind", "name", "strategy", "tier", "outcome", "worker", "level"])
TEXTS = st.text(st.characters(codec=None, exclude_categories=()), max_size=12)
NUMBERS = st.floats(0, 1e9).map(lambda number: round(number, 3))


class Pair:
    """Writes each line twice: filled in, and by structlog."""

    def __init__(self, level: Level, about: dict[str, Any], form: Literal["console", "json"] = "json") -> None:
        self._out = io.StringIO()
        set_up_logging("info", form, self._out)
        self._about = about
        self._log = structlog.get_logger().bind()
        self._line = Line(self._log, level, "request", about, "ms")
        self._say = getattr(self._log, level)

    def filled(self, number: float) -> str:
        self._line.write(number)
        return self._written()

    def said(self, number: float) -> str:
        self._say("request", **self._about, ms=number)
        return self._written()

    def _written(self) -> str:
        text = self._out.getvalue()
        self._out.seek(0)
        self._out.truncate()
        return TIME.sub("now", text)


@given(st.dictionaries(KEYS, TEXTS), st.lists(NUMBERS, min_size=1, max_size=4), st.sampled_from(["info", "warning"]))
def test_a_line_is_as_structlog_writes_it(about: dict[str, str], numbers: list[float], level: Level) -> None:
    """Whatever is in it, whatever it overrides, and however often it is written."""
    pair = Pair(level, about)
    for number in numbers:
        assert pair.filled(number) == pair.said(number)


@given(st.integers(0, 10**15))
def test_a_number_is_as_structlog_writes_it(thousandths: int) -> None:
    """From a thousandth to more than a request can take."""
    pair = Pair("info", {})
    assert pair.filled(round(thousandths / 1000, 3)) == pair.said(round(thousandths / 1000, 3))


def test_the_console_is_structlogs() -> None:
    """Where people read, too."""
    pair = Pair("info", {"name": "a"}, "console")
    assert pair.filled(0.5) == pair.said(0.5) != ""


def test_the_context_is_that_of_the_line() -> None:
    """What is bound when it is written, for as long as it is bound."""

    def written() -> None:
        pair, seen = Pair("info", {"name": "a"}), []
        bind_contextvars(worker=1)
        for _ in range(2):
            seen.append(pair.filled(0.1))
            assert seen[-1] == pair.said(0.1)
            with bound_contextvars(worker=2, more="x\n"):
                seen.append(pair.filled(0.1))
                assert seen[-1] == pair.said(0.1)
        clear_contextvars()
        seen.append(pair.filled(0.1))
        assert seen[-1] == pair.said(0.1)
        assert len(set(seen)) == 3

    copy_context().run(written)


def test_each_line_has_its_time() -> None:
    """In UTC, and never an earlier one than the line before."""
    out = io.StringIO()
    set_up_logging("info", "json", out)
    line = Line(structlog.get_logger().bind(), "info", "request", {}, "ms")
    before = datetime.now(UTC)
    for _ in range(50):
        line.write(0.1)
    times = [datetime.fromisoformat(match[0]) for match in TIME.finditer(out.getvalue())]
    assert len(times) == 50
    times = [before, *times, datetime.now(UTC)]
    assert times == sorted(times)


@pytest.mark.parametrize(("threshold", "lines"), [("info", 2), ("warning", 1), ("error", 0)])
def test_the_level(threshold: Literal["info", "warning", "error"], lines: int) -> None:
    """What is not severe enough is not written."""
    out = io.StringIO()
    set_up_logging(threshold, "json", out)
    levels: tuple[Level, ...] = ("info", "warning")
    for level in levels:
        Line(structlog.get_logger().bind(), level, "request", {}, "ms").write(0.1)
    assert len(out.getvalue().splitlines()) == lines


def test_the_line_of_a_request() -> None:
    """What is not known is left out; a failure is a warning."""
    out = io.StringIO()
    set_up_logging("info", "json", out)
    requests = Requests(Telemetry(), sample=1.0)
    requests.ended("tool", "props", "s", "memory", "hit", 0.0123456)
    requests.ended("tool", "props", "s", "memory", "hit", 0.1)
    requests.ended("prompt", "", "", "", "failed", 1.0)
    assert TIME.sub("now", out.getvalue()).splitlines() == [
        '{"kind":"tool","name":"props","strategy":"s","tier":"memory","outcome":"hit","ms":12.346,'
        '"event":"request","level":"info","timestamp":"now"}',
        '{"kind":"tool","name":"props","strategy":"s","tier":"memory","outcome":"hit","ms":100.0,'
        '"event":"request","level":"info","timestamp":"now"}',
        '{"kind":"prompt","outcome":"failed","ms":1000.0,"event":"request","level":"warning","timestamp":"now"}',
    ]
