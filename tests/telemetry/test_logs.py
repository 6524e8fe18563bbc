from __future__ import annotations

import io
import json
import logging
from typing import Any, Literal

import anyio
import pytest
import structlog
from starlette.requests import ClientDisconnect

from gateway.telemetry.logs import set_up_logging

FORGED = 'a\n{"event": "forged"}\r\x1b[31m\x1b]0;title\x07\x9b1m\u2028end\ud800'


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def logged(
    level: Literal["debug", "info", "warning", "error"] = "info",
    form: Literal["auto", "console", "json"] = "json",
    stream: io.StringIO | None = None,
) -> io.StringIO:
    out = stream or io.StringIO()
    set_up_logging(level, form, out)
    return out


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_json() -> None:
    """A line is one JSON object with the event, its values, the level and the time in UTC."""
    out = logged()
    structlog.get_logger("x").warning("cache file set aside", path="/a", count=1)
    (line,) = lines(out)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "cache file set aside", "path": "/a", "count": 1, "level": "warning"}


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("source", ["ours", "library"])
def test_a_value_forges_no_line(form: Literal["json", "console"], source: str) -> None:
    """Line breaks, escape sequences and other controls in what a caller sent stay one harmless line."""
    out = logged(form=form)
    if source == "ours":
        structlog.get_logger().warning("refused", value=FORGED, more=[FORGED])
        structlog.get_logger().warning(FORGED)
    else:
        logging.getLogger("library").warning("refused %s", FORGED)
        logging.getLogger("library").warning(FORGED)
    text = out.getvalue()
    assert len(text.splitlines()) == 2
    assert not set(text) & set("\x1b\x07\x9b\r\u2028\ud800")


def test_a_traceback_keeps_its_lines_and_nothing_else() -> None:
    """A traceback is readable, and what the exception quotes does not reach the terminal as it is."""
    out = logged(form="console")
    try:
        raise ValueError("\x1b[31mred\x07")
    except ValueError:
        structlog.get_logger().exception("failed")
    text = out.getvalue()
    assert "Traceback" in text
    assert not set(text) & set("\x1b\x07")


def test_level() -> None:
    """Less severe lines are not written, neither ours nor a library's."""
    out = logged("warning")
    structlog.get_logger().info("chatter")
    logging.getLogger("library").info("chatter")
    structlog.get_logger().error("trouble")
    assert [line["event"] for line in lines(out)] == ["trouble"]


def test_what_is_told_to_who_asked_is_not_logged_too() -> None:
    """The SDK's client logs a traceback for each answer that it can't read, which fails its call with a sentence."""
    out = logged("debug")
    logging.getLogger("mcp.client.streamable_http").exception("Error parsing SSE message")
    assert lines(out) == []


def test_a_client_that_has_gone_is_no_error() -> None:
    """The SDK logs a traceback when a client ends its session with something on its way, or leaves within a request."""
    out = logged("info")
    library = logging.getLogger("mcp.server.streamable_http")
    for error in (anyio.ClosedResourceError(), ClientDisconnect(), ValueError("odd")):
        try:
            raise error
        except Exception:
            library.exception("Error handling POST request")
    assert ["ValueError" in line["exception"] for line in lines(out)] == [True]


@pytest.mark.parametrize("name", ["mcp.server.lowlevel", "httpx2", "hypercorn.error", "asyncio", "quart.serving"])
def test_libraries_are_quiet(name: str) -> None:
    """A library's chatter is not ours; its warnings are."""
    out = logged("info")
    logging.getLogger(name).info("request sent")
    logging.getLogger(name).warning("odd")
    assert [line["event"] for line in lines(out)] == ["odd"]


def test_auto() -> None:
    """Unless the profile says otherwise, people read on a terminal and machines elsewhere."""
    plain, terminal = logged(form="auto"), Terminal()
    structlog.get_logger().info("hello")
    assert lines(plain)[0]["event"] == "hello"
    logged(form="auto", stream=terminal)
    structlog.get_logger().info("hello")
    assert not terminal.getvalue().startswith("{")
