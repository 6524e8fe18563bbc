"""What is remembered of entries that went: a mark of the key, and the tick of the last read."""

from __future__ import annotations

from array import array

WAYS = 4
"""Places where a mark can be. Of the four, the one read longest ago is overwritten, so nothing has to be expired."""


WRAP = 0xFFFFFFFF
"""Ticks are kept in 32 bits, so they are compared modulo that."""


class Ghosts:
    """A set-associative table in two arrays: 8 bytes a ghost, where a dict takes ten times that."""

    __slots__ = ("_marks", "_seen", "_sets")

    def __init__(self, room: int) -> None:
        self._sets = max(1, room // WAYS)
        self._marks = array("I", bytes(4 * WAYS * self._sets))
        self._seen = array("I", bytes(4 * WAYS * self._sets))

    def __len__(self) -> int:
        """How many there is room for."""
        return len(self._marks)

    def remember(self, mark: int, seen: int) -> None:
        """Keep `mark`, read at tick `seen`."""
        marks, ticks = self._marks, self._seen
        first = mark % self._sets * WAYS
        place = first
        for i in range(first, first + WAYS):
            if not marks[i] or marks[i] == mark:
                place = i
                break
            if ticks[i] < ticks[place]:
                place = i
        marks[place], ticks[place] = mark, seen & WRAP

    def recall(self, mark: int) -> int | None:
        """The tick of the last read of `mark`, which is forgotten; None if it is not known."""
        marks = self._marks
        first = mark % self._sets * WAYS
        for i in range(first, first + WAYS):
            if marks[i] == mark:
                marks[i] = 0
                return self._seen[i]
        return None
