"""Cursors: which part of which answer to which call comes next, in a text that says no more to its caller than that.

A cursor is no secret and is not signed: it only chooses a part of the answer that its caller would be given anyway. The
key in it holds the tool, the arguments and, for private answers, the caller, so a cursor of another call or of somebody
else is refused; nothing has to be remembered, so any instance and any later process can go on with it.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from dataclasses import dataclass

from gateway.errors import ToolError

_LAYOUT = struct.Struct(">I8s8s")
LENGTH = 27
"""Characters of a cursor: 20 bytes in base64 without padding (RFC 4648, section 5)."""

_UNKNOWN = "cursor: expected the one that the previous answer of this tool gave, found another text"
_FOREIGN = (
    "cursor: it belongs to another call. Pass the same arguments as in the call that gave it, or start again without "
    "cursor."
)


def digest(data: bytes) -> bytes:
    """What an answer, or the key of a call, is known by in a cursor."""
    return hashlib.blake2b(data, digest_size=8).digest()


@dataclass(frozen=True, slots=True)
class Cursor:
    """Part `number` (from 0) of the answer `whole` to the call of a key, both by their digests."""

    number: int
    key: bytes
    whole: bytes

    def __str__(self) -> str:
        packed = _LAYOUT.pack(self.number, self.key, self.whole)
        return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def parse_cursor(text: str, key: str) -> Cursor:
    """The cursor that `text` is, for the call of that key; raises ToolError for one of another call, or for none."""
    try:
        if len(text) != LENGTH:
            raise ToolError(_UNKNOWN)
        cursor = Cursor(*_LAYOUT.unpack(base64.b64decode(text.encode("ascii") + b"=", b"-_", validate=True)))
    except (ValueError, struct.error):
        raise ToolError(_UNKNOWN) from None
    if cursor.key != digest(key.encode()):
        raise ToolError(_FOREIGN)
    if str(cursor) != text or cursor.number == 0:  # base64 has several spellings for one value
        raise ToolError(_UNKNOWN)
    return cursor
