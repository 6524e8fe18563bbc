"""Structured log lines on stderr; stdout belongs to protocols and answers."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any, Literal, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor

from gateway.printable import escaped

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_QUIET = (
    "hypercorn.error",
    "mcp",
    "httpx2",
    "httpcore2",
    "asyncio",
    "anyio",
    "trio-asyncio",
    "quart.app",
    "quart.serving",
    "watchfiles",
)
"""Libraries that log through the standard library; their warnings are ours to pass on, their chatter is not."""
_SILENT = ("mcp.client", "coredis")
"""What it logs with a traceback is told to who asked, as a sentence."""
_SERVER = "mcp.server.streamable_http"
_GONE = frozenset({"ClosedResourceError", "ClientDisconnect"})
"""What the SDK logs as an error of the server's: a client that ends its session while something else of it is on its
way, and one that leaves within a request."""


def set_up_logging(
    level: Literal["debug", "info", "warning", "error"],
    form: Literal["auto", "console", "json"],
    stream: TextIO | None = None,
) -> None:
    """Send every log line, ours and the libraries', to `stream` (default: stderr), one line each.

    Control characters in values are escaped in both forms, so that nothing a caller sends can forge a line.
    """
    out = stream if stream is not None else sys.stderr
    readable = form == "console" or (form == "auto" and out.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=not readable),
        structlog.processors.ExceptionRenderer(),
        _escape,
    ]
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=out.isatty(), sort_keys=False)
        if readable
        else structlog.processors.JSONRenderer(_json)
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=[_strip, renderer], foreign_pre_chain=shared))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[level])
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, _LEVELS[level]))
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.getLogger(_SERVER).addFilter(_is_ours)


def _json(event: EventDict, **options: Any) -> str:
    try:
        return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # a text that is not valid Unicode, or an integer of more than 64 bits
        return json.dumps(event, **options)


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether it is anything but a client that has gone."""
    error = record.exc_info[1] if record.exc_info else None
    return type(error).__name__ not in _GONE


def _strip(logger: Any, name: str, event: EventDict) -> EventDict:
    return structlog.stdlib.ProcessorFormatter.remove_processors_meta(logger, name, event)


def _escape(logger: Any, name: str, event: EventDict) -> EventDict:
    """Line feeds, escape sequences and other controls in values, escaped; tracebacks keep their lines."""
    if all(value.isprintable() for value in event.values() if isinstance(value, str)):
        return event
    return {
        key: "\n".join(map(_escaped, value.split("\n"))) if key == "exception" else _escaped(value)
        for key, value in event.items()
    }


def _escaped(value: Any) -> Any:
    return escaped(value) if isinstance(value, str) else value
