"""The unified difference of two texts, also of long and hostile ones.

Patience diff (Bram Cohen): lines that both sides have exactly once are anchors, as many as stand in the same order, and
what lies between them is compared in the same way. A gap without anchors is compared exactly where it is small, and is
replaced as a whole where it is not: the result is always right, and short for texts that people write. Time is
O(n log n) for each of a bounded number of rounds, where difflib's is quadratic.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator

_ROUNDS = 32
"""How often gaps are cut by anchors; each round takes linear time."""
_MAX_CELLS = 4_000_000
"""Lines of one side by lines of the other up to which a gap is compared exactly."""

_Gap = tuple[int, int, int, int]
"""From and to in the old lines, from and to in the new ones."""


def text_difference(old: str, new: str, context: int = 3) -> str:
    """A unified diff with `context` lines around each change, without file names; empty for equal texts."""
    before, after = old.splitlines(), new.splitlines()
    hunks: list[list[_Gap]] = []
    for gap in _changes(before, after):
        if hunks and gap[0] - hunks[-1][-1][1] <= 2 * context:
            hunks[-1].append(gap)
        else:
            hunks.append([gap])
    return "\n".join(line for hunk in hunks for line in _shown(hunk, before, after, context))


def _shown(hunk: list[_Gap], before: list[str], after: list[str], context: int) -> Iterator[str]:
    first, last = hunk[0], hunk[-1]
    lead = min(context, first[0], first[2])
    tail = min(context, len(before) - last[1], len(after) - last[3])
    yield (
        f"@@ -{_span(first[0] - lead, last[1] + tail)} +{_span(first[2] - lead, last[3] + tail)} @@"  # POSIX diff -u
    )
    at = first[0] - lead
    for start, end, new_start, new_end in hunk:
        yield from (f" {line}" for line in before[at:start])
        yield from (f"-{line}" for line in before[start:end])
        yield from (f"+{line}" for line in after[new_start:new_end])
        at = end
    yield from (f" {line}" for line in before[at : at + tail])


def _span(start: int, end: int) -> str:
    """A range of lines, counted from 1; an empty one is named by the line before it."""
    count = end - start
    return f"{start + 1 if count else start}{'' if count == 1 else f',{count}'}"


def _changes(before: list[str], after: list[str]) -> list[_Gap]:
    """What was replaced, in order; neighbours are one."""
    found: list[_Gap] = []
    gaps: list[_Gap] = [(0, len(before), 0, len(after))]
    for round_ in range(_ROUNDS + 1):
        cut: list[_Gap] = []
        for gap in gaps:
            start, end, new_start, new_end = trimmed = _trimmed(gap, before, after)
            if start == end and new_start == new_end:
                continue
            anchors = _anchors(trimmed, before, after) if round_ < _ROUNDS else []
            if anchors:
                cut += _between(trimmed, anchors)
            else:
                found += _exact(trimmed, before, after)
        gaps = cut
    return _joined(sorted(found))


def _trimmed(gap: _Gap, before: list[str], after: list[str]) -> _Gap:
    """The gap without the lines that both sides begin or end with."""
    start, end, new_start, new_end = gap
    while start < end and new_start < new_end and before[start] == after[new_start]:
        start, new_start = start + 1, new_start + 1
    while start < end and new_start < new_end and before[end - 1] == after[new_end - 1]:
        end, new_end = end - 1, new_end - 1
    return start, end, new_start, new_end


def _anchors(gap: _Gap, before: list[str], after: list[str]) -> list[tuple[int, int]]:
    """The longest series of lines, each once on both sides, that stand in the same order there."""
    start, end, new_start, new_end = gap
    old_count, new_count = Counter(before[start:end]), Counter(after[new_start:new_end])
    at = {after[index]: index for index in range(new_start, new_end) if new_count[after[index]] == 1}
    pairs = [(i, at[before[i]]) for i in range(start, end) if old_count[before[i]] == 1 and before[i] in at]
    return _longest_ascending(pairs)


def _longest_ascending(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest series of pairs whose second numbers ascend, too, by patience sorting."""
    tops: list[int] = []
    tails: list[int] = []
    before: list[int | None] = []
    for index, (_, new) in enumerate(pairs):
        pile = bisect_left(tops, new)
        before.append(tails[pile - 1] if pile else None)
        if pile == len(tops):
            tops.append(new)
            tails.append(index)
        else:
            tops[pile], tails[pile] = new, index
    series = []
    at = tails[-1] if tails else None
    while at is not None:
        series.append(pairs[at])
        at = before[at]
    return series[::-1]


def _between(gap: _Gap, anchors: list[tuple[int, int]]) -> Iterator[_Gap]:
    start, end, new_start, new_end = gap
    for old, new in anchors:
        yield start, old, new_start, new
        start, new_start = old + 1, new + 1
    yield start, end, new_start, new_end


def _exact(gap: _Gap, before: list[str], after: list[str]) -> Iterator[_Gap]:
    start, end, new_start, new_end = gap
    if (end - start) * (new_end - new_start) > _MAX_CELLS:
        yield gap
        return
    from rapidfuzz.distance import Indel  # some megabytes, for the few who compare

    for step in Indel.opcodes(before[start:end], after[new_start:new_end]):
        if step.tag != "equal":
            yield (
                start + step.src_start,
                start + step.src_end,
                new_start + step.dest_start,
                new_start + step.dest_end,
            )


def _joined(gaps: list[_Gap]) -> list[_Gap]:
    joined: list[_Gap] = []
    for gap in gaps:
        if joined and joined[-1][1] == gap[0] and joined[-1][3] == gap[2]:
            joined[-1] = (joined[-1][0], gap[1], joined[-1][2], gap[3])
        else:
            joined.append(gap)
    return joined
