"""Where the work between documents and an answer is done: at once where it is short, in a thread where it is long."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import trio

LONG_AT_ALL = 1_000_000
"""Bytes of documents from which on reading them alone takes several milliseconds, in which nobody else is served."""
LONG = 16_000
"""...and for an expression that parses Markdown or compares documents."""

_THREADS = trio.CapacityLimiter(2)
"""They share one interpreter, so that more of them would only wait for each other."""

T = TypeVar("T")


async def compose(work: Callable[[], T], size: int, *, long: bool) -> T:
    """What `work` makes of `size` bytes of documents; `long` is what its expression says of itself.

    Cancelling leaves the work to end by itself: it changes nothing, and takes bounded time.
    """
    if size < (LONG if long else LONG_AT_ALL):
        return work()
    return await trio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=_THREADS)
