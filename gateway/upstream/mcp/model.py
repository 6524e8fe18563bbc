"""What an MCP server offers, and how a client of ours is reached while its request is under way. No SDK here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from gateway.errors import UpstreamRejected

Json = dict[str, Any]

UNAVAILABLE = -32097
"""The code of an error that the gateway itself puts in the place of an answer: asking again later may help."""
REJECTED = -32096
"""...asking again does not help."""
WAIT = "gateway/wait"
"""In the data of such an error: for how many seconds the server wants not to be asked again."""

KINDS = ("tools", "resources", "templates", "prompts")
"""The kinds of definitions, in the order in which they are told of."""

_IDENTIFIED_BY = {"tools": "name", "resources": "uri", "templates": "uriTemplate", "prompts": "name"}


def own_name(kind: str, definition: Mapping[str, Any]) -> str:
    """What the server itself calls a definition: a name, a URI or a URI template."""
    return str(definition[_IDENTIFIED_BY[kind]])


@dataclass(frozen=True, slots=True)
class Definitions:
    """All that a server lists, as it lists it."""

    tools: tuple[Json, ...] = ()
    resources: tuple[Json, ...] = ()
    templates: tuple[Json, ...] = ()
    prompts: tuple[Json, ...] = ()
    ttl: float | None = None
    """For how many seconds the server says that its lists hold, the least of all; None where it says nothing."""
    private: bool = False
    """Whether it says that they are for this client alone."""

    def of(self, kind: str) -> tuple[Json, ...]:
        """The definitions of one kind."""
        found: tuple[Json, ...] = getattr(self, kind)
        return found


class UpstreamRefused(UpstreamRejected):
    """An error of the protocol (JSON-RPC 2.0, 5.1): a server's, whose `code` and `data` these are, or our own."""

    def __init__(self, upstream: str, message: str, code: int, data: Any = None) -> None:
        self.code = code
        self.data = data
        super().__init__(upstream, message)


class Unasked(Exception):  # a signal to whoever called, not an error of anybody
    """A server wants to know something of the client before it goes on, on a request that belongs to no one client."""


Answers = Literal["at once", "in a new request", "never", "elsewhere"]
"""How a client can be asked something: by a request to it (handshake era), by an answer that wants another request
(2026-07-28), or not at all. "elsewhere": the request is made for whoever wants its answer, and no one can be asked on
their behalf; who is to be asked makes a request of their own."""


class Channel(Protocol):
    """The way back to the client whose request is under way."""

    @property
    def answers(self) -> Answers:
        """How the client can be asked something."""

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """What the client says that it can do."""

    @property
    def log_level(self) -> str | None:
        """The least severe log message that it wants with this request; None where it wants none."""

    async def progress(self, progress: float, total: float | None, message: str | None) -> None:
        """Tell it how far its request is, if it wants to know."""

    async def log(self, params: Mapping[str, Any]) -> None:
        """Pass on a server's log message, if it wants such."""

    async def ask(self, method: str, params: Mapping[str, Any]) -> Json:
        """What it answers to a server's request, where `answers` is "at once"; raises UpstreamError if it does not."""


class Nobody:
    """The channel of a request that no one client waits for: nothing is told, nothing can be asked."""

    answers: Answers = "elsewhere"
    capabilities: Mapping[str, Any] = {}
    log_level: str | None = None

    async def progress(self, progress: float, total: float | None, message: str | None) -> None:
        """Nobody wants to know."""

    async def log(self, params: Mapping[str, Any]) -> None:
        """Nobody wants to know."""

    async def ask(self, method: str, params: Mapping[str, Any]) -> Json:
        """Nobody is there."""
        raise Unasked


NOBODY = Nobody()


class Onlooker(Nobody):
    """The channel of a request whose answer many may share: the client that was first is told how far it is."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def progress(self, progress: float, total: float | None, message: str | None) -> None:
        """Tell the first client."""
        await self._channel.progress(progress, total, message)
