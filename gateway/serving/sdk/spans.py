"""The span of a request and the trace that it belongs to, in place of the MCP SDK's own.

The SDK writes what a client says into the names of spans, and into a process-wide tracer even where nobody listens.
"""

from __future__ import annotations

from typing import Any, cast

from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp_types.methods import SPEC_CLIENT_METHODS, SPEC_CLIENT_NOTIFICATION_METHODS

from gateway.catalogue.labels import Labels
from gateway.telemetry.tracing import span, tracing, within_context_of

_METHODS = SPEC_CLIENT_METHODS | SPEC_CLIENT_NOTIFICATION_METHODS


class RequestSpans:
    """Middleware of the SDK's server: a span around each request, in the trace of `_meta.traceparent` (SEP-414)."""

    def __init__(self, labels: Labels) -> None:
        self._labels = labels

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """The request's answer."""
        if not tracing():
            return await call_next(ctx)
        method = ctx.method if ctx.method in _METHODS else "unknown"
        name = self._name(method, ctx.params or {})
        with (
            within_context_of(cast("dict[str, object]", ctx.meta or {})),
            span(f"{method} {name}".rstrip(), "server", method=method, name=name) as serving,
        ):
            result = await call_next(ctx)
            if isinstance(result, dict) and result.get("isError") is True:
                serving.failed("tool_error")
            return result

    def _name(self, method: str, params: Any) -> str:
        """What is asked for, as the profile calls it."""
        match method:
            case "tools/call":
                return self._labels.tool(str(params.get("name")))[0]
            case "prompts/get":
                return self._labels.prompt(str(params.get("name")))
            case "resources/read":
                return self._labels.resource(str(params.get("uri")))
            case _:
                return ""


def within_traces(app: ASGIFramework) -> ASGIFramework:
    """`app`, whose spans are part of the trace that the request's `traceparent` names (W3C Trace Context)."""

    async def traced(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        headers = scope["headers"] if scope["type"] == "http" else []
        with within_context_of({name.decode("latin-1"): value.decode("latin-1") for name, value in headers}):
            await app(scope, receive, send)

    return cast("ASGIFramework", traced)
