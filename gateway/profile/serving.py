"""`[server]`, `[admin]` and `[logging]`: where the gateway listens, whom it answers, what it says of itself."""

import ipaddress
import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from gateway.profile.section import Section, expected, matching
from gateway.profile.units import Duration, Ratio, Size
from gateway.profile.upstreams.policies import RateLimit


def _bind(value: str) -> str:
    host, _, port = value.rpartition(":")
    number = int(port) if re.fullmatch("[0-9]{1,5}", port) else -1
    if host.startswith("[") != host.endswith("]") or not 0 <= number <= 65535:
        raise expected('an address such as "127.0.0.1:8765" or "[::1]:8765"')
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        if host != "localhost":
            raise expected('an IP address and a port, such as "127.0.0.1:8765" or "[::1]:8765"') from None
    return value


Bind = Annotated[str, AfterValidator(_bind)]
"""An address to listen on: an IP address or `localhost`, and a port."""


def _socket_path(value: str) -> str:
    if not value.startswith("/") or "\0" in value or len(value.encode()) > _LONGEST_SOCKET:
        raise expected('an absolute path of at most 107 bytes, such as "/run/gateway/mcp.sock"')
    return value


_LONGEST_SOCKET = 107
"""Bytes that an address of a Unix socket has room for (unix(7))."""

SocketPath = Annotated[str, AfterValidator(_socket_path)]
"""The path of a Unix socket."""


def _proxy(value: str) -> str:
    try:
        if value != "unix":
            ipaddress.ip_network(value)
    except ValueError:
        raise expected('an IP address, a network such as "10.0.0.0/8", or "unix"') from None
    return value


Proxy = Annotated[str, AfterValidator(_proxy)]
"""A proxy: an IP address, a network, or `unix` for whoever connects to a Unix socket."""


class Connections(Section):
    """`[server.connections]`: what one client may take of the server."""

    max: Annotated[int, Field(ge=1)] = 10_000
    """Most connections at once; further ones wait in the system's queue until one closes."""
    max_requests: Annotated[int, Field(ge=1)] = 1_000_000
    """Most requests on one connection; it is closed with the answer to the last one."""
    max_read_ahead: Annotated[Size, Field(ge=1000)] = 64_000
    """Most bytes of further requests (pipelining) that are read before one is answered; the rest waits."""
    max_header_size: Annotated[Size, Field(ge=1000)] = 64_000
    """Largest head of a request: its first line and its headers."""
    header_timeout: Annotated[Duration, Field(gt=0)] = 10.0
    """How long the head of a request may take to arrive, from its first byte."""
    body_timeout: Annotated[Duration, Field(gt=0)] = 30.0
    """How long its body may take after that; also how long a client may read nothing of an answer."""
    idle_timeout: Annotated[Duration, Field(gt=0)] = 75.0
    """How long a connection may stay open between requests."""


class Server(Section):
    """`[server]`: MCP over streamable HTTP."""

    name: str = "gateway"
    """How the server introduces itself to clients."""
    title: str = ""
    """A name for people."""
    instructions: str = ""
    """What clients may tell their model about this server."""
    bind: tuple[Bind, ...] = Field(default=("127.0.0.1:8765",), strict=False)
    """Where to listen; port 0 takes a free one. May be empty where there are `sockets`."""
    sockets: tuple[SocketPath, ...] = Field(default=(), strict=False)
    """Unix sockets to listen on as well: "/run/gateway/mcp.sock", in a folder that is there."""
    socket_mode: Annotated[str, *matching("0?[0-7]{3}", 'a mode such as "0660"')] = "0660"
    """Who may connect to the Unix sockets."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """How many processes serve; each has tiers of its own, and together they ask upstreams as often as one would."""
    path: Annotated[str, *matching("/[A-Za-z0-9/_.-]*", 'a path such as "/mcp"')] = "/mcp"
    """The endpoint's path."""
    allowed_hosts: tuple[str, ...] = Field(default=(), strict=False)
    """`Host` values to answer beside the bound addresses and localhost: "example.org" or "example.org:8080"."""
    allowed_origins: tuple[str, ...] = Field(default=(), strict=False)
    """`Origin` values of browsers to answer, such as "https://app.example.org"; localhost on any port is always one."""
    authentication: Literal["none", "bearer"] = "none"
    """`bearer`: only those of `[clients]` are answered, by their tokens; `none`: whoever reaches the server is."""
    rate_limit: RateLimit | None = None
    """How often each client may ask: one of `[clients]`, else an address (IPv6: its /64); without it, at any rate."""
    trusted_proxies: tuple[Proxy, ...] = Field(default=(), strict=False)
    """Proxies whose `X-Forwarded-For` says who asks: addresses, networks ("10.0.0.0/8"), "unix" for Unix sockets."""
    response: Literal["json", "stream"] = "json"
    """How an answer is sent: one JSON body, or an event stream."""
    sessions: bool = False
    """On: clients of the handshake era get a session, to be asked and told things; this process alone knows of it."""
    session_timeout: Annotated[Duration, Field(gt=0)] = 1800.0
    """How long a session lasts without a request or an open event stream."""
    max_sessions: Annotated[int, Field(ge=1)] = 10_000
    """Most sessions at once; who would open another one is refused with 503 until one ends."""
    list_ttl: Duration = 60.0
    """How long clients may keep the list of tools (`ttlMs`); it changes only when the profile does."""
    max_body_size: Annotated[Size, Field(gt=0)] = 4_000_000
    """Largest request body."""
    compression: tuple[Literal["zstd", "gzip"], ...] = Field(default=("zstd", "gzip"), strict=False)
    """How answers may be compressed for clients that accept it, best first; empty turns it off."""
    compression_threshold: Size = 1000
    """Smallest answer that is compressed; what saves less than a tenth stays as it is."""
    front: bool = True
    """Off: every request takes the long way through the MCP SDK, also one whose answer is at hand."""
    connections: Connections = Connections.unset()
    """What one client may take of the server."""
    max_output: Annotated[Size, Field(ge=1000)] | None = None
    """Largest text of an answer, for tools that say nothing of it and can be cut; the rest comes by a cursor."""
    ready_after: Literal["start", "warm"] = "start"
    """From when on /readyz says that requests are welcome: at once, or once the calls of `[warm]` were made."""
    drain_delay: Duration = 0.0
    """For how long after SIGTERM /readyz says 503 while all is still served: until a load balancer looks elsewhere."""
    reload_on_change: bool = False
    """On: the profile is reloaded when one of its files changes, as it is on SIGHUP."""
    drain_timeout: Duration = 10.0
    """How long requests under way may take to finish after SIGTERM and `drain_delay`."""

    @model_validator(mode="after")
    def _listens(self) -> Self:
        if not self.bind and not self.sockets:
            raise expected("an address in `bind`, or a path in `sockets`", found="neither")
        return self


class Admin(Section):
    """`[admin]`: health and administration, on a socket of its own."""

    enabled: bool = True
    """Off: there is no admin site."""
    bind: tuple[Bind, ...] = Field(default=("127.0.0.1:8766",), strict=False, min_length=1)
    """Where to listen; port 0 takes a free one."""
    allowed_hosts: tuple[str, ...] = Field(default=(), strict=False)
    """`Host` values to answer beside the bound addresses and localhost."""


class Logging(Section):
    """`[logging]`: structured lines on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe line that is written."""
    format: Literal["auto", "console", "json"] = "auto"
    """`console` for people, `json` for machines, `auto`: console on a terminal, else JSON."""
    requests: Ratio = 0.0
    """Share of requests that leave a line: what was asked for and how it went, never arguments or credentials."""
    slow_requests: Duration = 1.0
    """A request that takes as long leaves a line, whatever `requests` says; 0s turns that off. Those that fail do, too,
    once a second for each tool."""
