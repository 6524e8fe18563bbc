"""What the parts of a load test hand to each other: calls, replies, and whoever makes the one of the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Era = Literal["modern", "handshake"]
"""Of MCP: 2026-07-28 with its envelope in each request, or up to 2025-11-25 with `initialize` ahead of all."""

TIMEOUT = "timeout"
NOT_SENT = "not sent"
"""The kind of error of a request that was due and for which no connection came free in time."""
REFUSED = "connection refused"
RESET = "connection reset"
CLOSED = "connection closed"
UNREACHABLE = "no connection"
INVALID = "invalid answer"
TOOL_ERROR = "tool error"
INPUT_REQUIRED = "input required"

BROKEN = frozenset({REFUSED, RESET, CLOSED, UNREACHABLE})
"""The kinds of error after which the connection is gone."""
LASTING = frozenset({TIMEOUT, NOT_SENT})
"""The kinds of error that took time: who waits in vain has waited, so these count as latency. Others are quick, and
would make the server look quicker than it is."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool."""

    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a call: how many bytes, and what was wrong with it."""

    size: int = 0
    error: str | None = None
    """The kind of error, such as "timeout", "HTTP 503" or "JSON-RPC -32602"; None where all was well."""
    detail: str = ""
    """What the server said to it."""


class Client(Protocol):
    """One of the clients that ask at once; it waits for each answer before it asks again."""

    async def open(self) -> Reply:
        """Connect, and begin a session where the era has one; an error in the reply where that failed.

        Cancelling leaves it unopened.
        """

    async def ask(self, call: Call) -> Reply:
        """Make a call, connecting again where the connection is gone. Cancelling gives the connection up."""

    async def aclose(self) -> None:
        """Leave the server."""


class Target(Protocol):
    """A server that is there."""

    @property
    def name(self) -> str:
        """What a person calls it: its address, or its command."""

    @property
    def era(self) -> Era:
        """What it speaks."""

    def client(self) -> Client:
        """One more client."""
