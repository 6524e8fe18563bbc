"""What is remembered of clients of the handshake era, for as long as they are there: over stdio, or by a session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.server.session import ServerSession

_KEY = "gateway.remembered"
"""The key of a connection's state."""


class Remembered:
    """One client: the least severe log message that it wants, and what it has subscribed to, in this order."""

    __slots__ = ("log_level", "subscribed")

    def __init__(self) -> None:
        self.log_level = "info"
        self.subscribed: dict[str, None] = {}


def remembered_of(context: ServerRequestContext[Any, Any]) -> Remembered:
    """What is remembered of whoever sent the request; without sessions that is forgotten with its answer."""
    state: dict[str, Remembered] = _connection_of(context).state
    return state.setdefault(_KEY, Remembered())


class Clients:
    """The clients that have completed the handshake and can be told something; each until its connection ends."""

    def __init__(self) -> None:
        self._sessions: dict[Connection, tuple[ServerSession, Remembered]] = {}

    def add(self, context: ServerRequestContext[Any, Any]) -> None:
        """Keep the client that sent this, once, until it is gone or its session has ended."""
        connection = _connection_of(context)
        if connection not in self._sessions:
            self._sessions[connection] = context.session, remembered_of(context)
            connection.exit_stack.callback(self._sessions.pop, connection, None)

    def __iter__(self) -> Iterator[tuple[ServerSession, Remembered]]:
        return iter(list(self._sessions.values()))

    def __len__(self) -> int:
        return len(self._sessions)


def _connection_of(context: ServerRequestContext[Any, Any]) -> Connection:
    """What lasts as long as the client does: made for stdio's one, for each session, and without them for a request.

    A connection has public places for what belongs to it (`state`) and for what its end calls (`exit_stack`), but the
    SDK (2.3) hands handlers no way to it.
    """
    return context.session._connection
