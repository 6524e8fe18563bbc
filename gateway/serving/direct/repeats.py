"""Requests that differ in nothing but their id: what one of them asks for, all of them do."""

from __future__ import annotations

import re
from typing import Generic, Literal, TypeVar

from gateway.serving.direct.message import Message, parse

T = TypeVar("T")

_ID = rb'(0|[1-9][0-9]{0,14}|"[A-Za-z0-9_.:-]{1,64}")'
"""Numbers that every parser reads alike, and texts that need no escapes."""
_FIRST = re.compile(rb'\{ ?"jsonrpc" ?: ?"2\.0" ?, ?"id" ?: ?' + _ID + rb' ?, ?(?=")')
_LAST = re.compile(rb' ?, ?"jsonrpc" ?: ?"2\.0" ?, ?"id" ?: ?' + _ID + rb" ?\}\Z")
"""Where the SDKs write an id: Python's before the method, TypeScript's behind the parameters."""
_END = 128
"""Bytes at the end in which the latter is looked for."""
_OTHERS: dict[bytes, int | str] = {b"918273645": 918273645, b'"918273645"': "918273645"}
"""Ids that a request is read with again, to see that nothing else in it depends on its id."""

_MOST = 2048
_LONG = 512
"""Requests that are remembered, and bytes of one that is not: what is kept of clients is bounded."""


class Repeats(Generic[T]):
    """What was made of requests, by all of their bytes but the id, and by what else matters."""

    def __init__(self) -> None:
        self._known: dict[tuple[Rest, object], T] = {}

    def __len__(self) -> int:
        """How many requests are known."""
        return len(self._known)

    def find(self, rest: Rest, about: object) -> T | None:
        """What was kept of such a request."""
        return self._known.get((rest, about))

    def keep(self, rest: Rest, about: object, body: bytes, message: Message, made: T) -> None:
        """Keep what was made of `message`, which is `body`; not where that is long, or something hangs on its id."""
        if len(rest[1]) > _LONG or not _is_same_with_others(body, message):
            return
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[rest, about] = made


Rest = tuple[Literal["first", "last"], bytes]
"""Where the id was, and all other bytes."""


def without_id(body: bytes) -> tuple[int | str, Rest] | None:
    """The id of a request and the rest of it; None where it is not where clients usually have it.

    Bodies with the same rest are read alike but for their ids, once one of them was seen to be read so (`keep`).
    """
    found = _where(body)
    if found is None:
        return None
    id_ = found[1]
    rest: Rest = ("first", body[found.end() :]) if found.re is _FIRST else ("last", body[: found.start()])
    return id_[1:-1].decode() if id_.startswith(b'"') else int(id_), rest


def _where(body: bytes) -> re.Match[bytes] | None:
    return _FIRST.match(body) or _LAST.search(body, max(0, len(body) - _END))


def _is_same_with_others(body: bytes, message: Message) -> bool:
    found = _where(body)
    if found is None:
        return False
    for written, id_ in _OTHERS.items():
        again = parse(body[: found.start(1)] + written + body[found.end(1) :])
        if again is None or (again.id, again.method, again.params) != (id_, message.method, message.params):
            return False
    return True
