"""Counts stacks: what each thread was doing, how often. No thread, no clock."""

from __future__ import annotations

import re
from collections import Counter
from types import CodeType, FrameType

MAX_STACKS = 4_000
"""Different stacks that are kept; further ones are only counted. With the deepest, 8 MB."""

OUTER, INNER = 64, 192
"""Frames that are kept of a stack that is deeper: of where it began, and of where it is."""

LEFT_OUT = "… frames left out …"
"""Stands for those in between."""

_IDLE = frozenset(
    {
        ("selectors.py", "select"),
        ("threading.py", "wait"),
        ("threading.py", "_wait_for_tstate_lock"),
        ("queue.py", "get"),
        ("_io_epoll.py", "get_events"),
        ("_io_kqueue.py", "get_events"),
        ("_io_windows.py", "get_events"),
        ("_thread_cache.py", "_work"),
        ("thread.py", "_worker"),
        ("core.py", "_connection_worker_thread"),
    }
)
"""Where a thread waits for something to do: event loops, locks, queues, the idle workers of Trio, concurrent.futures
and aiosqlite. A call into C is not a frame of its own, so it is told by the function that makes the call."""

_PLACE = re.compile(r".*/(?:site-packages|dist-packages|lib/python[0-9.]+)/")

Stack = tuple[str, ...]
"""The thread's name, then a label for each frame, outermost first."""


class StackCounts:
    """How often each stack was seen."""

    def __init__(self, *, idle: bool = False) -> None:
        self.samples = 0
        """Looks at all threads."""
        self.idle = 0
        """Stacks of threads that waited, which are not counted unless `idle`."""
        self.left_out = 0
        """Stacks beyond MAX_STACKS."""
        self._count_idle = idle
        self._counts: Counter[tuple[str, tuple[CodeType | None, ...]]] = Counter()

    def add(self, thread: str, frame: FrameType) -> None:
        """Count what a thread is doing, `frame` being its innermost one."""
        if is_idle(frame.f_code):
            self.idle += 1
            if not self._count_idle:
                return
        key = thread, _codes(frame)
        if key not in self._counts and len(self._counts) >= MAX_STACKS:
            self.left_out += 1
            return
        self._counts[key] += 1

    def stacks(self) -> dict[Stack, int]:
        """Every stack with how often it was seen, the most frequent first."""
        labels: dict[CodeType | None, str] = {None: LEFT_OUT}
        found: Counter[Stack] = Counter()
        for (thread, codes), count in self._counts.items():
            for code in codes:
                if code not in labels:
                    labels[code] = label(code)
            found[thread, *(labels[code] for code in codes)] += count
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def is_idle(code: CodeType) -> bool:
    """Whether a thread whose innermost frame runs `code` waits for something to do."""
    return (code.co_filename.rpartition("/")[2], code.co_name) in _IDLE


def label(code: CodeType | None) -> str:
    """A function as it is shown, such as `MemoryTier.get (gateway/tiers/memory.py:92)`; no path of this machine."""
    if code is None:
        return LEFT_OUT
    file = code.co_filename
    place = _PLACE.sub("", file)
    if place == file and "/" in file:
        folders = file.split("/")
        place = "/".join(folders[folders.index("gateway", 1) :] if "gateway" in folders[1:] else folders[-2:])
    return f"{code.co_qualname} ({place}:{code.co_firstlineno})"


def _codes(frame: FrameType) -> tuple[CodeType | None, ...]:
    codes: list[CodeType | None] = []
    here: FrameType | None = frame
    while here is not None:
        codes.append(here.f_code)
        here = here.f_back
    codes.reverse()
    if len(codes) > OUTER + INNER:
        codes[OUTER:-INNER] = [None]
    return tuple(codes)
