"""Lines out of a stream of bytes, of which none is kept beyond a limit."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ENDS = 200
"""Bytes at either end of a line that is too long in which its id is looked for."""
_ID_FIRST = re.compile(rb'\{"jsonrpc": ?"2\.0", ?"id": ?(\d{1,15}), ?"(?:result|error)"')
_ANSWER = re.compile(rb'\{(?:"jsonrpc": ?"2\.0", ?)?"(?:result|error)"')
_ID_LAST = re.compile(rb'"id": ?(\d{1,15})\}\s*$')


@dataclass(frozen=True, slots=True)
class TooLong:
    """A line that was longer than the limit, and dropped."""

    answers: int | None
    """The request that it was the answer to, where that can be told from its beginning or its end."""


class Framing:
    """Cuts what is fed to it into lines; a line that goes on for ever takes no more room than the limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._line = bytearray()
        self._head: bytes | None = None
        """The beginning of a line that is too long and has not ended yet; `_line` then holds its last bytes."""

    def feed(self, chunk: bytes) -> list[bytes | TooLong]:
        """The lines that end in `chunk`, without their ends; empty ones are left out."""
        found: list[bytes | TooLong] = []
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            self._take(piece)
            if self._head is not None:
                found.append(TooLong(answered(self._head, bytes(self._line))))
            elif self._line.strip():
                found.append(bytes(self._line))
            self._line, self._head = bytearray(), None
        self._take(rest)
        return found

    def _take(self, piece: bytes) -> None:
        self._line += piece
        if self._head is None and len(self._line) > self._limit:
            self._head = bytes(self._line[:_ENDS])
        if self._head is not None:
            self._line = self._line[-_ENDS:]


def answered(head: bytes, tail: bytes) -> int | None:
    """The request that a line is the answer to which begins and ends so, as SDKs write it; None where it may be none.

    For lines that can't be read as JSON: whoever waits for the answer need not wait for nothing.
    """
    found = _ID_FIRST.match(head[:_ENDS]) or (_ANSWER.match(head) and _ID_LAST.search(tail[-_ENDS:]))
    return int(found[1]) if found is not None else None
