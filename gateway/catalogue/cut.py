"""Where a long answer is cut: between lines of a text, between elements of an array."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def texts(text: str, room: int) -> Iterator[str]:
    """The text in parts of at most `room` bytes of UTF-8; put together again they are the text.

    A part ends before a heading, where one stands in its second half, else before an empty line there, else after a
    line; only a line that is longer than `room` is cut within.
    """
    data = text.encode()
    start = 0
    while len(data) - start > room:
        end = start + _cut(data[start : start + room + 1], room)
        yield data[start:end].decode()
        start = end
    yield data[start:].decode()


def _cut(window: bytes, room: int) -> int:
    """Where to cut the first `room` bytes of a window that is one byte longer."""
    for mark in (b"\n#", b"\n\n"):
        found = window.rfind(mark, room // 2)
        if found >= 0:
            return found + 1
    found = window.rfind(b"\n", 0, room)
    if found >= 0:
        return found + 1
    end = room
    while end > 1 and window[end] & 0xC0 == 0x80:  # within a character (RFC 3629, section 3)
        end -= 1
    return end


def shares(costs: Sequence[int], room: int) -> Iterator[tuple[int, int]]:
    """From and to of the elements of each part, as many as there is room for; a larger one is a part of its own."""
    start = taken = 0
    for index, cost in enumerate(costs):
        if index > start and taken + cost > room:
            yield start, index
            start, taken = index, 0
        taken += cost
    yield start, len(costs)
