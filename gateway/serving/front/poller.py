"""Which connections have something to read: one epoll for all of them, which one task looks at.

Trio's own wait takes a system call and a turn of its scheduler for each request. Here a socket is registered once, its
events are edges (epoll(7)), and a request that can be answered at once is answered within the turn that brought it.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable

import trio

_AT_ONCE = 64
"""Connections of one turn: some milliseconds at most, after which other tasks have theirs."""


class Poller:
    """Tells each connection that it watches when there is something new to read; `run` is the service.

    It tells once for what has arrived: whoever was told reads until nothing is left before it waits again, and to the
    end where that has come.
    """

    def __init__(self) -> None:
        """Raises OSError where the process may open no more files."""
        self._epoll = select.epoll()
        self._told: dict[int, Callable[[bool], None]] = {}

    async def run(self) -> None:
        """Tell, until it is cancelled; then nothing can be watched any more."""
        try:
            while True:
                await trio.lowlevel.wait_readable(self._epoll.fileno())
                for descriptor, events in self._epoll.poll(0, _AT_ONCE):
                    self._told[descriptor](bool(events & ~select.EPOLLIN))
        finally:
            self._epoll.close()

    def watch(self, sock: socket.socket, tell: Callable[[bool], None]) -> None:
        """Call `tell` when there is more to read on `sock`, with whether that is the last; it neither waits nor raises.

        Raises OSError where the system takes no more.
        """
        self._epoll.register(sock.fileno(), select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET)
        self._told[sock.fileno()] = tell

    def leave(self, sock: socket.socket) -> None:
        """Watch `sock` no longer; before it is closed, since another one may have its number then."""
        if self._told.pop(sock.fileno(), None) is not None and not self._epoll.closed:
            self._epoll.unregister(sock.fileno())
