"""A tool's answer as the bytes of a JSON object, made once and then only spliced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from gateway.catalogue.jsontext import to_json
from gateway.catalogue.records import RecordText
from gateway.errors import ToolError, UpstreamError
from gateway.pipeline.model import Answer
from gateway.telemetry.requests import ending_of

PROVENANCE = "gateway/cache"
"""The key in a result's `_meta` under which its caller is told where the answer came from."""


@dataclass(frozen=True, slots=True)
class CallResult:
    """What a call of a tool answers: a CallToolResult as the bytes of a JSON object."""

    payload: bytes
    message: str | None = None
    """What went wrong, for an error; None for an answer."""
    answer: Answer | None = None
    """Where it came from; None for an error."""
    outcome: str = "passed"
    """In a word, for the metrics: hit, stale, miss, passed (not cached), refused (the caller's fault) or failed."""

    @property
    def is_error(self) -> bool:
        """Whether the call failed."""
        return self.message is not None


class Form:
    """How the values of one tool become results: structured content and its text, or the text alone."""

    def __init__(self, kind: Literal["json", "text"], template: RecordText | None = None) -> None:
        self._kind = kind
        self._template = template

    def of(self, value: Any) -> dict[str, Any]:
        """The CallToolResult of a value. Raises ValueError for what JSON can't hold.

        The text is what the template makes of the structured content, else that content as JSON.
        """
        structured = self.structured(value)
        text = self._template.of(structured) if self._template is not None else None
        if text is None and self._kind == "text" and isinstance(value, str):
            text = value
        if text is not None and self._kind == "text":
            return {"content": [_text(text)]}
        shown = to_json(structured).decode() if text is None else text
        return {"content": [_text(shown)], "structuredContent": structured}

    def render(self, value: Any) -> bytes:
        """The CallToolResult of a value as bytes."""
        return to_json(self.of(value))

    def structured(self, value: Any) -> dict[str, Any]:
        """Structured content is an object in every MCP revision, so anything else stands in one as `result`."""
        return value if isinstance(value, dict) else {"result": value}

    def cost(self, way: Sequence[str], element: Any) -> int:
        """Bytes that an element of the array at the end of `way` takes at most: in JSON, and in the text."""
        size = len(to_json(element)) + len(",")
        if self._template is None or len(way) > 1:
            return size
        return max(size, self._template.cost(way[0], element))


def render(value: Any, kind: Literal["json", "text"]) -> bytes:
    """The CallToolResult of a value without a template, as bytes."""
    return Form(kind).render(value)


def spelled(result: Mapping[str, Any]) -> int:
    """Bytes that a result takes for its reader: those of its text, or of its structured content if they are more."""
    size = sum(len(part["text"].encode()) for part in result["content"])
    return max(size, len(to_json(result["structuredContent"]))) if "structuredContent" in result else size


def with_note(result: Mapping[str, Any], note: str) -> dict[str, Any]:
    """The result with a sentence to its reader behind its text."""
    return {**result, "content": [*result["content"], _text(note)]}


def render_error(message: str) -> bytes:
    """The CallToolResult of a failure: a sentence that says what to try next."""
    clean = message.encode("utf-8", "replace").decode()
    return orjson.dumps({"content": [_text(clean)], "isError": True})


def failed(error: ToolError | UpstreamError) -> CallResult:
    """The result of a call that came to nothing."""
    message = str(error)
    return CallResult(render_error(message), message=message, outcome=ending_of(error))


def provenance(answer: Answer, now: float) -> dict[str, Any]:
    """Where an answer came from, with `age` and `expires` in seconds, to the millisecond.

    `age` counts from when the oldest source was known to be true; `expires` is how long the answer stays fresh, and is
    not positive for a stale one. `tags` are what a purge knows it by.
    """
    return {
        "status": answer.status.value,
        "tier": answer.tier,
        "age": round(max(0.0, now - answer.entry.stored_at), 3),
        "expires": round(answer.entry.fresh_until - now, 3),
        "tags": answer.entry.tags,
    }


def with_meta(payload: bytes, meta: Mapping[str, Any]) -> bytes:
    """The result `payload` with `_meta`: its last brace is opened again, nothing is parsed."""
    return b'%b,"_meta":%b}' % (payload[:-1], orjson.dumps(meta))


def _text(text: str) -> dict[str, Any]:
    # In the order in which the MCP SDK writes it: the bytes that are kept are those that are sent.
    return {"text": text, "type": "text"}
