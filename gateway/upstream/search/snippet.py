"""The piece of a text that shows why it was found."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.upstream.search.index import Found
from gateway.upstream.search.terms import terms

_ON, _OFF = "\x02", "\x03"
Span = tuple[int, int]


def snippet(found: Found, length: int, marks: tuple[str, str]) -> str:
    """About `length` characters of the section on one line, around most of the found words, each between `marks`.

    Of the text where it has one of the words or there is no code; else of the code.
    """
    in_body, in_code = _spans(found.body, found.marked_body), _spans(found.code, found.marked_code)
    if in_body or not (in_code or not found.body):
        return _cut(found.body, in_body, length, marks)
    return _cut(found.code, in_code, length, marks)


def _spans(text: str, marked: str) -> list[Span]:
    """Where the marked terms stand in `text`, joined where they overlap: the n-th word of `marked` is its n-th term."""
    if _ON not in marked:
        return []
    spans: list[Span] = []
    on = False
    for term, word in zip(terms(text), marked.split(" "), strict=False):
        begins = word.startswith(_ON)
        if on or (begins and spans and term.start <= spans[-1][1]):  # a phrase goes on, or pairs overlap
            spans[-1] = spans[-1][0], max(spans[-1][1], term.end)
        elif begins:
            spans.append((term.start, term.end))
        on = (on or begins) and not word.endswith(_OFF)
    return spans


def _cut(text: str, spans: Sequence[Span], length: int, marks: tuple[str, str]) -> str:
    start, end = _window(text, spans, length)
    pieces, at = [], start
    for first, last in spans:
        if first >= start and last <= end:
            pieces += [text[at:first], marks[0], text[first:last], marks[1]]
            at = last
    pieces.append(text[at:end])
    line = " ".join("".join(pieces).split())
    return f"{'…' if start else ''}{line}{'…' if end < len(text) else ''}"


def _window(text: str, spans: Sequence[Span], length: int) -> Span:
    """The stretch of `length` characters with the most different words, the first of several; it cuts no word."""
    if len(text) <= length:
        return 0, len(text)
    best, most = 0, -1
    last = 0
    for index, (first, _) in enumerate(spans):
        last = max(last, index)
        while last < len(spans) and spans[last][1] <= first + length * 3 // 4:
            last += 1
        different = len({text[a:b].casefold() for a, b in spans[index:last]})
        if different > most:
            best, most = first, different
    start = max(0, min(best - length // 4, len(text) - length))
    end = min(len(text), start + length)
    around = spans and (best, next(b for a, b in spans if a == best))
    inner = around or (start, end)
    return _at_a_gap(text, start, inner[0]), max(_at_a_gap_before(text, end, inner[1]), min(inner[1], end))


def _at_a_gap(text: str, start: int, before: int) -> int:
    """The beginning of the first word from `start` on, but not after `before`."""
    if start == 0 or text[start - 1].isspace():
        return start
    gap = next((at for at in range(start, min(before, start + 20)) if text[at].isspace()), None)
    return start if gap is None else gap + 1


def _at_a_gap_before(text: str, end: int, after: int) -> int:
    """The end of the last word up to `end`, but not before `after`."""
    if end == len(text) or text[end].isspace():
        return end
    gap = next((at for at in range(end - 1, max(after, end - 20), -1) if text[at].isspace()), None)
    return end if gap is None else gap
