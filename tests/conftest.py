from __future__ import annotations

import os
import signal

import pytest


def pytest_configure() -> None:
    """Let SIGINT through to what tests start, also where a shell's `&` has it ignored: that would be inherited."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: a test waits for a quarter of its time, in which another one can run."""
    return len(os.sched_getaffinity(0)) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start what takes minutes first: the other workers do the rest meanwhile, and nobody waits for it at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
