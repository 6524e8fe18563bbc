"""The answer that an entry in memory gives, made once but for what differs from request to request."""

from __future__ import annotations

from typing import Any

import orjson

from gateway.catalogue.pages import NEXT_CURSOR
from gateway.catalogue.result import PROVENANCE
from gateway.pipeline.model import Entry
from gateway.serving.direct.ending import Ending
from gateway.serving.direct.packing import Pieces
from gateway.serving.direct.wire import Wire

_ID = 918273645
_AGE = 1234567.875
_EXPIRES = 7654321.125
"""What stands for the three in a form while it is made; each is found by where it comes first."""

_COMPLETE = b',"resultType":"complete"'
_OVERHEAD = 700
"""Bytes of a form beside what it holds."""


class Form:
    """An answer of one era, for readers to whom the entry is fresh until `fresh_until`.

    `beginning` is what differs and what stands between; `end` is the rest, which shares the payload's memory where the
    answer has the same bytes.
    """

    __slots__ = ("_between", "_expires", "_opening", "end", "entry", "fresh_until")

    def __init__(self, entry: Entry, fresh_until: float, opening: bytes, between: bytes, end: Pieces) -> None:
        self.entry = entry
        self.fresh_until = fresh_until
        self.end = Ending(end)
        self._opening = opening
        self._between = between
        self._expires = fresh_until != float("inf")

    @property
    def size(self) -> int:
        """Bytes that it takes beside the entry."""
        return _OVERHEAD + len(self._opening) + len(self._between) + self.end.own

    def beginning(self, id_: bytes, now: float) -> bytes:
        """Up to and with how long the answer holds, for the request `id_` at `now`."""
        age = max(0.0, now - self.entry.stored_at)
        if not self._expires:
            return b'{"jsonrpc":"2.0","id":%b%b%.3f%b' % (id_, self._opening, age, self._between)
        lasts = self.fresh_until - now
        return b'{"jsonrpc":"2.0","id":%b%b%.3f%b%.3f' % (id_, self._opening, age, self._between, lasts)


def form_of(
    wire: Wire, entry: Entry, payload: bytes, following: str | None, fresh_until: float, *, modern: bool
) -> Form:
    """The form of the answer `payload`, which is what `entry` holds or a part of it, with the cursor of the next one.

    Raises ValueError for what is no result of a declared tool.
    """
    lasting = fresh_until == float("inf")
    about: dict[str, Any] = {
        PROVENANCE: {
            "status": "hit",
            "tier": "memory",
            "age": _AGE,
            "expires": None if lasting else _EXPIRES,
            "tags": list(entry.tags),
        }
    }
    if following is not None:
        about[NEXT_CURSOR] = following
    whole = wire.called(_ID, {**orjson.loads(payload), "_meta": about}, modern=modern)
    _, _, rest = whole.partition(b"%d" % _ID)
    opening, _, rest = rest.partition(repr(_AGE).encode())
    if lasting:
        between, null, rest = rest.partition(b"null")
        return Form(entry, fresh_until, opening, between + null, _sharing(rest, entry, payload, modern=modern))
    between, _, rest = rest.partition(repr(_EXPIRES).encode())
    return Form(entry, fresh_until, opening, between, _sharing(rest, entry, payload, modern=modern))


def _sharing(end: bytes, entry: Entry, payload: bytes, *, modern: bool) -> Pieces:
    """The end in pieces that refer to the payload, where they are equal: `"content":…,"structuredContent":…`."""
    if payload is not entry.payload:  # a part of it, which nobody else keeps
        return (end,)
    marker = _COMPLETE if modern else b""
    start = len(end) - len(payload) - len(marker)
    if start < 0:
        return (end,)
    cut = end.find(marker, start) - start + 1 if modern else len(payload) - 1
    view = memoryview(payload)
    pieces = end[:start], view[1:cut], marker, view[cut:-1], b"}}"
    return pieces if b"".join(pieces) == end else (end,)
