"""What is known of a request beside its body, and what an answer is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from gateway.serving.direct.packing import Coding, Pieces


@dataclass(frozen=True, slots=True)
class Envelope:
    """How a request came: over HTTP, what its headers say; made once for all requests with the same headers."""

    version: str | None
    """The revision that it is said to be of; None where nothing is said, which is the handshake era."""
    modern: bool
    """Whether it is of the era in which each request stands for itself."""
    method: str | None = None
    """What `Mcp-Method` says, in the modern era."""
    name: str | None = None
    """What `Mcp-Name` says, in the modern era."""
    routed: bool = True
    """Whether the two have to agree with the body: over HTTP."""
    caller: str = ""
    """Who asks, for private strategies."""
    coding: Coding | None = None
    """How the answer may be compressed."""
    trace: Mapping[str, str] = field(default_factory=dict)
    """The trace that it is part of (W3C Trace Context)."""


class Reply:
    """An answer: the status, the body in pieces and its size, and how it is compressed."""

    __slots__ = ("coding", "pieces", "size", "status")

    def __init__(self, pieces: Pieces, size: int, status: int = 200, coding: Coding | None = None) -> None:
        self.pieces = pieces
        self.size = size
        self.status = status
        self.coding = coding


Waiting = Callable[[], Awaitable[Reply | None]]
"""Makes an answer that has to be waited for; None is that the SDK has to make it after all."""

Recognised = Callable[[Envelope], Reply | Waiting]
"""Answers a request that was recognised, on behalf of the caller that the envelope names."""
