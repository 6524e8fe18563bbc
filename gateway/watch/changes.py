"""Tells whoever serves clients that what they know may have changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import trio


class Subscription:
    """What one subscriber has not been told of yet. Several changes that it has not seen are one."""

    def __init__(self) -> None:
        self._upstreams: set[str] = set()
        self._changed = trio.Event()

    def add(self, upstream: str) -> None:
        """Something of this upstream changed."""
        self._upstreams.add(upstream)
        self._changed.set()

    def add_nothing(self) -> None:
        """Something changed, and it was no upstream."""
        self._changed.set()

    async def wait_changed(self) -> frozenset[str]:
        """The upstreams of which something changed since the last time; waits for the first change."""
        await self._changed.wait()
        changed = frozenset(self._upstreams)
        self._upstreams.clear()
        self._changed = trio.Event()
        return changed


class Changes:
    """Announces changes to subscribers, none of which is waited for."""

    def __init__(self) -> None:
        self._subscribers: set[Subscription] = set()

    def announce(self, upstream: str) -> None:
        """Something of this upstream changed: a release, a file, what a server offers."""
        for subscriber in self._subscribers:
            subscriber.add(upstream)

    def announce_lists(self) -> None:
        """What is offered may be another selection now, or described in other words."""
        for subscriber in self._subscribers:
            subscriber.add_nothing()

    @contextmanager
    def subscribe(self) -> Iterator[Subscription]:
        """What changes from now on, until the block ends."""
        subscription = Subscription()
        self._subscribers.add(subscription)
        try:
            yield subscription
        finally:
            self._subscribers.discard(subscription)
