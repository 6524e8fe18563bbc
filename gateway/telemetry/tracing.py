"""Spans of OpenTelemetry, where a profile asks for them; without it they cost a function call.

The request's own span is the MCP SDK's (it reads the trace context of `_meta`, SEP-414); these are its children.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer


Value = str | int | float | bool


class Spanning(Protocol):
    """A span that is open."""

    def set(self, **attributes: Value) -> None:
        """Say more about it."""


class _Silent:
    """No span: nobody listens."""

    __slots__ = ()

    def set(self, **attributes: Value) -> None:
        """Nothing."""

    def __enter__(self) -> _Silent:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""


class _Real:
    __slots__ = ("_span",)

    def __init__(self, span: Span) -> None:
        self._span = span

    def set(self, **attributes: Value) -> None:
        self._span.set_attributes({f"gateway.{name}": value for name, value in attributes.items()})


_SILENT = _Silent()
_tracers: list[Tracer] = []
"""The one that spans go to, if there is one. OpenTelemetry itself has one for the whole process, too."""


def use(tracer: Tracer | None) -> None:
    """Send spans to `tracer` from now on; None is to nobody."""
    _tracers[:] = [] if tracer is None else [tracer]


def tracing() -> bool:
    """Whether anybody listens."""
    return bool(_tracers)


def span(name: str, *, outward: bool = False, **attributes: Value) -> AbstractContextManager[Spanning]:
    """A span around the block, under the one that is open; `outward` for a question to another service.

    An exception that leaves the block is the span's failure, told by its kind alone: its text may hold what was asked.
    """
    return _span(_tracers[0], name, outward, attributes) if _tracers else _SILENT


@contextmanager
def _span(tracer: Tracer, name: str, outward: bool, attributes: Mapping[str, Value]) -> Iterator[Spanning]:
    from opentelemetry.trace import SpanKind, StatusCode

    named = {f"gateway.{key}": value for key, value in attributes.items()}
    kind = SpanKind.CLIENT if outward else SpanKind.INTERNAL
    opening = tracer.start_as_current_span(
        name, kind=kind, attributes=named, record_exception=False, set_status_on_exception=False
    )
    with opening as opened:
        try:
            yield _Real(opened)
        except Exception as error:
            opened.set_attribute("error.type", type(error).__name__)
            opened.set_status(StatusCode.ERROR)
            raise


def outgoing_context() -> list[tuple[str, str]]:
    """The headers that tell another service which trace it is part of (W3C Trace Context); none without tracing."""
    if not _tracers:
        return []
    from opentelemetry.propagate import inject

    carrier: dict[str, str] = {}
    inject(carrier)
    return list(carrier.items())


@contextmanager
def within_context_of(headers: Sequence[tuple[bytes, bytes]]) -> Iterator[None]:
    """Spans in the block are part of the trace that these HTTP headers name, if they name one."""
    carrier = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in headers
        if name in (b"traceparent", b"tracestate")
    }
    if not carrier or not _tracers:
        yield
        return
    from opentelemetry import context
    from opentelemetry.propagate import extract

    token: Any = context.attach(extract(carrier))
    try:
        yield
    finally:
        context.detach(token)
