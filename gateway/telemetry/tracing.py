"""Spans of OpenTelemetry, where a profile asks for them; without it they cost a function call.

Attributes are names of the profile and words of ours, never what a request says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer


Value = str | int | float | bool
Kind = Literal["internal", "client", "server"]
_CONTEXT = ("traceparent", "tracestate")


class Spanning(Protocol):
    """A span that is open."""

    def set(self, **attributes: Value) -> None:
        """Say more about it."""

    def failed(self, kind: str) -> None:
        """Say that it came to nothing."""


class _Silent:
    """No span: nobody listens."""

    __slots__ = ()

    def set(self, **attributes: Value) -> None:
        """Nothing."""

    def failed(self, kind: str) -> None:
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
        self._span.set_attributes(_named(attributes))

    def failed(self, kind: str) -> None:
        from opentelemetry.trace import StatusCode

        self._span.set_attribute("error.type", kind)
        self._span.set_status(StatusCode.ERROR)


_SILENT = _Silent()
_tracers: list[Tracer] = []
"""The one that spans go to, if there is one. OpenTelemetry itself has one for the whole process, too."""


def use(tracer: Tracer | None) -> None:
    """Send spans to `tracer` from now on; None is to nobody."""
    _tracers[:] = [] if tracer is None else [tracer]


def tracing() -> bool:
    """Whether anybody listens."""
    return bool(_tracers)


def span(name: str, /, kind: Kind = "internal", **attributes: Value) -> AbstractContextManager[Spanning]:
    """A span around the block, under the one that is open: a `client` asks another service, a `server` is asked.

    An exception that leaves the block is the span's failure, told by its kind alone: its text may hold what was asked.
    """
    return _span(_tracers[0], name, kind, attributes) if _tracers else _SILENT


@contextmanager
def _span(tracer: Tracer, name: str, kind: Kind, attributes: Mapping[str, Value]) -> Iterator[Spanning]:
    from opentelemetry.trace import SpanKind

    opening = tracer.start_as_current_span(
        name,
        kind=SpanKind[kind.upper()],
        attributes=_named(attributes),
        record_exception=False,
        set_status_on_exception=False,
    )
    with opening as opened:
        real = _Real(opened)
        try:
            yield real
        except Exception as error:
            real.failed(type(error).__name__)
            raise


def outgoing_context() -> list[tuple[str, str]]:
    """The headers that tell another service which trace it is part of (W3C Trace Context); none without tracing."""
    if not _tracers:
        return []
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return list(carrier.items())


@contextmanager
def within_context_of(carrier: Mapping[str, object]) -> Iterator[None]:
    """Spans in the block are part of the trace that `traceparent` and `tracestate` of `carrier` name, if they do."""
    told = {name: value for name in _CONTEXT if isinstance(value := carrier.get(name), str)}
    if not told or not _tracers:
        yield
        return
    from opentelemetry import context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    token = context.attach(TraceContextTextMapPropagator().extract(told, context.get_current()))
    try:
        yield
    finally:
        context.detach(token)


def _named(attributes: Mapping[str, Value]) -> dict[str, Value]:
    return {f"gateway.{name}": value for name, value in attributes.items()}
