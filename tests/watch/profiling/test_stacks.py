from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType, FrameType

from gateway.watch.profiling.stacks import INNER, LEFT_OUT, MAX_STACKS, OUTER, StackCounts, is_idle, label


def here() -> FrameType:
    return sys._getframe(1)


def compiled(name: str, file: str) -> Callable[[Callable[[], FrameType]], FrameType]:
    """A function of that name in that file, which calls what it is given."""
    space: dict[str, Callable[[Callable[[], FrameType]], FrameType]] = {}
    exec(compile(f"def {name}(call):\n    return call()\n", file, "exec"), space)
    return space[name]


def code_of(name: str, file: str) -> CodeType:
    return compiled(name, file).__code__


def deep(levels: int, counts: StackCounts) -> None:
    if levels:
        deep(levels - 1, counts)
    else:
        counts.add("main", here())


def test_the_same_stack_is_counted_together() -> None:
    """Three looks at one place are one stack, seen three times."""
    counts = StackCounts()
    for _ in range(3):
        counts.add("main", here())
    ((stack, seen),) = counts.stacks().items()
    assert seen == 3
    assert stack[0] == "main"
    assert stack[-1].startswith("test_the_same_stack_is_counted_together (")


def test_threads_are_told_apart() -> None:
    """The same place in two threads is two stacks."""
    counts = StackCounts()
    counts.add("one", here())
    counts.add("two", here())
    assert {stack[0] for stack in counts.stacks()} == {"one", "two"}


def test_recursion_shows_as_it_is() -> None:
    """A function that calls itself stands in the stack as often as it is under way."""
    counts = StackCounts()
    deep(20, counts)
    (stack,) = counts.stacks()
    assert sum(name.startswith("deep ") for name in stack) == 21


def test_a_very_deep_stack_keeps_both_ends() -> None:
    """Of a thousand frames the outermost and the innermost are kept, and it is said that some are left out."""
    counts = StackCounts()
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(5000)
    try:
        deep(1000, counts)
    finally:
        sys.setrecursionlimit(limit)
    (stack,) = counts.stacks()
    assert len(stack) == 1 + OUTER + 1 + INNER
    assert stack[1 + OUTER] == LEFT_OUT
    assert stack[-1].startswith("deep ")


def test_memory_is_bounded() -> None:
    """Beyond so many different stacks new ones are only counted; known ones still count."""
    counts = StackCounts()
    for number in range(MAX_STACKS + 10):
        counts.add(f"thread-{number}", here())
    counts.add("thread-0", here())
    # The last call is from another line of this function, which makes no difference: a stack is one of functions.
    assert len(counts.stacks()) == MAX_STACKS
    assert counts.left_out == 10
    assert counts.stacks()["thread-0", *next(iter(counts.stacks()))[1:]] == 2


def test_a_waiting_thread_is_left_out() -> None:
    """What waits in an event loop is counted as idle and is not in the stacks, unless that is asked for."""
    get_events = compiled("get_events", "/x/site-packages/trio/_core/_io_epoll.py")
    quiet, full = StackCounts(), StackCounts(idle=True)
    for counts in (quiet, full):
        frame = get_events(lambda: sys._getframe(1))
        counts.add("main", frame)
    assert (quiet.idle, len(quiet.stacks())) == (1, 0)
    assert (full.idle, len(full.stacks())) == (1, 1)


def test_idle_workers_are_known() -> None:
    """The threads of Trio, concurrent.futures and aiosqlite that wait for work are idle; other code is not."""
    assert is_idle(code_of("_work", "/x/trio/_core/_thread_cache.py"))
    assert is_idle(code_of("_worker", "/x/concurrent/futures/thread.py"))
    assert is_idle(code_of("_connection_worker_thread", "/x/aiosqlite/core.py"))
    assert not is_idle(code_of("get", "/srv/app/gateway/tiers/memory.py"))


def test_labels_hold_no_path_of_the_machine() -> None:
    """A function is shown with its file inside its package, wherever that is installed."""
    assert label(code_of("get", "/srv/app/gateway/tiers/memory.py")) == "get (gateway/tiers/memory.py:1)"
    installed = code_of("run", "/opt/venv/lib/python3.11/site-packages/trio/_core/_run.py")
    assert label(installed) == "run (trio/_core/_run.py:1)"
    assert label(code_of("loads", "/usr/lib/python3.11/json/decoder.py")) == "loads (json/decoder.py:1)"
    assert label(code_of("main", "/home/someone/scripts/try.py")) == "main (scripts/try.py:1)"
