"""A tool's answer as the bytes of a JSON object, made once and then only spliced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from gateway.catalogue.jsontext import to_json
from gateway.pipeline.model import Answer

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

    @property
    def is_error(self) -> bool:
        """Whether the call failed."""
        return self.message is not None


def render(value: Any, form: Literal["json", "text"]) -> bytes:
    """The CallToolResult of a value: structured content and its text, or the text alone.

    Structured content is an object in every MCP revision, so anything else stands in one as `result`. Raises ValueError
    for what JSON can't hold.
    """
    if form == "text" and isinstance(value, str):
        return orjson.dumps({"content": [{"type": "text", "text": value}]})
    structured = value if isinstance(value, dict) else {"result": value}
    text = to_json(structured).decode()
    return to_json({"content": [{"type": "text", "text": text}], "structuredContent": structured})


def render_error(message: str) -> bytes:
    """The CallToolResult of a failure: a sentence that says what to try next."""
    clean = message.encode("utf-8", "replace").decode()
    return orjson.dumps({"content": [{"type": "text", "text": clean}], "isError": True})


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
