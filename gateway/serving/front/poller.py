"""Which connections have something to read: one epoll for all of them, which one task looks at.

Trio's own wait takes a system call and a turn of its scheduler for each request. Here a socket is registered once, its
events are edges (epoll(7)), and a request that can be answered at once is answered within the turn that brought it. The
answers of a turn are sent together: a client that has fallen asleep over the first is woken once for all of them, which
costs more than most answers do, and has more to ask in the next turn.
"""

from __future__ import annotations

import select
import socket
from typing import Protocol

import trio

_AT_ONCE = 64
"""Connections of one turn: some milliseconds at most, after which other tasks have theirs."""
_LARGE = 16_384
"""Bytes of an answer that does not wait for the others of its turn: what is held back of all takes little memory."""


class Watched(Protocol):
    """A connection, as the poller sees it; nothing of it waits or raises."""

    def tell(self, ended: bool) -> bytes:
        """There is something new to read, the last where it has `ended`: the answer, empty where none is made."""

    def send(self, answer: bytes) -> None:
        """Send what `tell` has returned; nothing has happened on the connection since."""


class Poller:
    """Tells each connection that it watches when there is something new to read; `run` is the service.

    It tells once for what has arrived: whoever was told reads until nothing is left before it waits again, and to the
    end where that has come.
    """

    def __init__(self) -> None:
        """Raises OSError where the process may open no more files."""
        self._epoll = select.epoll()
        self._watched: dict[int, Watched] = {}

    async def run(self) -> None:
        """Tell, until it is cancelled; then nothing can be watched any more."""
        try:
            while True:
                await trio.lowlevel.wait_readable(self._epoll.fileno())
                self._turn()
        finally:
            self._epoll.close()

    def _turn(self) -> None:
        answers: list[tuple[Watched, bytes]] = []
        for descriptor, events in self._epoll.poll(0, _AT_ONCE):
            watched = self._watched[descriptor]
            answer = watched.tell(bool(events & ~select.EPOLLIN))
            if len(answer) >= _LARGE:
                watched.send(answer)
            elif answer:
                answers.append((watched, answer))
        for watched, answer in answers:
            watched.send(answer)

    def watch(self, sock: socket.socket, watched: Watched) -> None:
        """Tell `watched` when there is more to read on `sock`, and let it send what it answers.

        Raises OSError where the system takes no more.
        """
        self._epoll.register(sock.fileno(), select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET)
        self._watched[sock.fileno()] = watched

    def leave(self, sock: socket.socket) -> None:
        """Watch `sock` no longer; before it is closed, since another one may have its number then."""
        if self._watched.pop(sock.fileno(), None) is not None and not self._epoll.closed:
            self._epoll.unregister(sock.fileno())
