"""Tells whoever serves clients that what they know may have changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import trio


class Changes:
    """Announces changes to subscribers. Several announcements that a subscriber has not seen yet are one."""

    def __init__(self) -> None:
        self._subscribers: set[trio.MemorySendChannel[None]] = set()

    def announce(self) -> None:
        """Something changed: every subscriber gets to know, none is waited for."""
        for subscriber in self._subscribers:
            with suppress(trio.WouldBlock):  # it has not seen the last one yet, and one is as good as two
                subscriber.send_nowait(None)

    @contextmanager
    def subscribe(self) -> Iterator[trio.MemoryReceiveChannel[None]]:
        """A channel that gives one item for each change from now on, until the block ends."""
        send, receive = trio.open_memory_channel[None](1)
        self._subscribers.add(send)
        try:
            with send, receive:
                yield receive
        finally:
            self._subscribers.discard(send)
