"""One JSON-RPC request out of its bytes, where every parser would read the same out of them."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

_HUGE = re.compile(rb"[0-9]{19}")
"""An integer of more than 64 bits, perhaps, of which orjson makes a float."""

_DEEP = 100
"""Arrays and objects from which on one may be nested so deeply that parsers differ in whether they take it."""

_REQUEST = frozenset({"jsonrpc", "id", "method", "params"})

_Id = int | str


class Message:
    """A request: `id` as it was sent, `method`, and `params`, None where there are none."""

    __slots__ = ("id", "method", "params")

    def __init__(self, id_: _Id, method: str, params: dict[str, Any] | None) -> None:
        self.id = id_
        self.method = method
        self.params = params


def parse(body: bytes) -> Message | None:
    """The request in `body`; None for anything else, also for what is only unusual (JSON-RPC 2.0, section 4)."""
    try:
        decoded = orjson.loads(body)
    except ValueError:
        return None
    if type(decoded) is not dict or decoded.get("jsonrpc") != "2.0" or not _REQUEST.issuperset(decoded):
        return None
    id_, method, params = decoded.get("id"), decoded.get("method"), decoded.get("params")
    if type(id_) is not int and type(id_) is not str:  # true is neither
        return None
    if type(method) is not str or (params is not None and type(params) is not dict):
        return None
    if body.count(b"{") + body.count(b"[") > _DEEP:
        return None
    if _HUGE.search(body) is not None and _has_huge_integer(body):
        return None
    return Message(id_, method, params)


def _has_huge_integer(body: bytes) -> bool:
    """Whether there is an integer of more than 64 bits, which the SDK's parsers read as what it is."""
    try:
        orjson.dumps(json.loads(body))
    except (TypeError, ValueError, RecursionError):
        return True
    return False


def id_bytes(id_: _Id, *, ascii_only: bool) -> bytes:
    """The id as the SDK writes it: in the modern era it escapes what is not ASCII."""
    if type(id_) is int:
        return b"%d" % id_
    return json.dumps(id_).encode() if ascii_only else orjson.dumps(id_)
