"""One JSON-RPC request out of its bytes, where every parser would read the same out of them."""

from __future__ import annotations

import json
from typing import Any

import orjson

_LARGE = 2.0**63
"""A float beyond this may have been an integer of more than 64 bits, which the SDK's parsers read as what it is."""

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
    if params is not None and _has_large_float(params):
        return None
    return Message(id_, method, params)


def _has_large_float(value: Any) -> bool:
    kind = type(value)
    if kind is dict:
        return any(map(_has_large_float, value.values()))
    if kind is list:
        return any(map(_has_large_float, value))
    return kind is float and not -_LARGE < value < _LARGE


def id_bytes(id_: _Id, *, ascii_only: bool) -> bytes:
    """The id as the SDK writes it: in the modern era it escapes what is not ASCII."""
    if type(id_) is int:
        return b"%d" % id_
    return json.dumps(id_).encode() if ascii_only else orjson.dumps(id_)
