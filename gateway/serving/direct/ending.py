"""What many answers end with: as it is, and compressed once for each coding that clients take."""

from __future__ import annotations

from gateway.serving.direct.envelope import Reply
from gateway.serving.direct.packing import LONGEST_BEGINNING, Coding, Packed, Pieces, packed


class Ending:
    """The end of answers; `after` puts a beginning before it."""

    __slots__ = ("_packed", "own", "pieces", "size")

    def __init__(self, pieces: Pieces) -> None:
        self.pieces = pieces
        self.size = sum(map(len, pieces))
        self.own = sum(len(piece) for piece in pieces if type(piece) is bytes)
        """Bytes that it takes beside what its pieces refer to."""
        self._packed: dict[Coding, Packed | None] = {}

    def after(self, beginning: bytes, coding: Coding | None, threshold: int, status: int = 200) -> Reply:
        """The answer; compressed where the client takes that, it has `threshold` bytes, and it is worth it."""
        size = len(beginning) + self.size
        if coding is not None and size >= threshold and len(beginning) <= LONGEST_BEGINNING:
            compressed = self._compressed(coding)
            if compressed is not None:
                body = compressed.spliced(beginning)
                return Reply((body,), len(body), status, coding)
        return Reply((beginning, *self.pieces), size, status)

    def _compressed(self, coding: Coding) -> Packed | None:
        if coding not in self._packed:
            self._packed[coding] = made = packed(coding, self.pieces)
            self.own += made.size if made is not None else 0
        return self._packed[coding]
