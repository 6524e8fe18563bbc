"""Which addresses may be dialled: a name is resolved here, its addresses are vetted, and a vetted one is dialled.

Vetting and dialling are one step on the same address, so a name that resolves to another address the second time
(DNS rebinding) gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence

import httpcore2
import trio

from gateway.errors import UpstreamError, UpstreamRejected, UpstreamUnavailable
from gateway.printable import printable
from gateway.upstream.excess import Connection

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""The numeric addresses of a host name, best first; raises OSError when there are none."""

CONNECT_SHARE = 3.0
"""Seconds for each address but the last: enough for a lost SYN, which is sent again after one (RFC 6298, section 2)."""

_SPECIAL: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = (
    # In IANA's registries (RFC 6890), but `ipaddress` of some Python versions takes them, or parts, for global.
    ipaddress.IPv4Network("192.0.0.0/24"),  # a cloud has its metadata here
    ipaddress.IPv6Network("64:ff9b:1::/48"),  # RFC 8215: NAT64 of a network's own
    ipaddress.IPv6Network("3fff::/20"),  # RFC 9637: documentation
    ipaddress.IPv6Network("5f00::/16"),  # RFC 9602: segment routing
)

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052, section 2.1: the last 32 bits are an IPv4 address


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of `host` by the system's resolver, in its order (RFC 6724). Raises OSError."""
    found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


def is_public(address: IPAddress) -> bool:
    """Whether `address` is one host on the public internet, also where it only carries an IPv4 address.

    By IANA's special-purpose registries as `ipaddress` knows them, and what those leave out: multicast, the reserved
    blocks (which hold the obsolete `::a.b.c.d`), and site-local addresses (RFC 3879).
    """
    if isinstance(address, ipaddress.IPv6Address):
        carried = address.ipv4_mapped or address.sixtofour
        if carried is None and address in _NAT64:
            carried = ipaddress.IPv4Address(address.packed[12:])
        if carried is not None:
            return is_public(carried)
        if address.is_site_local:
            return False
    if any(address in network for network in _SPECIAL):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def canonical_address(host: str) -> IPAddress | None:
    """The address that `host` spells out in the one usual way; None for a name and for any other spelling."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped or address.scope_id):
        return None
    return address if str(address) == host else None


def is_unusual_spelling(host: str) -> bool:
    """Whether `host` is an address to some resolvers, but not spelled as one: `127.1`, `0x7f000001`, `2130706433`."""
    if canonical_address(host) is not None:
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        try:
            socket.inet_aton(host)
        except OSError:
            return False
    return True


class VettedBackend(httpcore2.AsyncNetworkBackend):
    """The network as one upstream may use it.

    An address or `localhost` in the profile is the operator's word and dialled as it is. A name may only lead to public
    addresses, and nothing else may be an address in disguise, unless the profile says `private_addresses = true`.
    """

    def __init__(self, upstream: str, *, private_addresses: bool, resolve: Resolver = resolve) -> None:
        self._upstream = upstream
        self._private_addresses = private_addresses
        self._resolve = resolve
        self._network = httpcore2.TrioBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """A connection to the first vetted address of `host` that answers; called by the connection pool.

        Raises UpstreamRejected when no address may be dialled, UpstreamUnavailable when the name has none, and
        httpcore2's ConnectError or ConnectTimeout of the last address when none answers.
        """
        *others, last = await self._vetted(host, port)
        for address in others:
            try:
                return Connection(
                    await self._network.connect_tcp(address, port, CONNECT_SHARE, local_address, socket_options)
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue  # if none answers, the error of the last one stands for all
        return Connection(await self._network.connect_tcp(last, port, timeout, local_address, socket_options))

    async def _vetted(self, host: str, port: int) -> list[str]:
        if canonical_address(host) is not None:
            return [host]
        if not self._private_addresses and is_unusual_spelling(host):
            raise self._refused(f"its host {printable(host)} is an address in an unusual spelling")
        try:
            found = list(await self._resolve(host, port))
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise UpstreamUnavailable(
                self._upstream, f"its host {printable(host)} can't be resolved: {printable(reason or 'no address')}"
            ) from error
        if not found:
            raise UpstreamUnavailable(self._upstream, f"its host {printable(host)} has no address")
        if host == "localhost":  # RFC 6761, section 6.3: always this machine
            allowed = [address for address in found if ipaddress.ip_address(address).is_loopback]
        elif self._private_addresses:
            allowed = found
        else:
            allowed = [address for address in found if is_public(ipaddress.ip_address(address))]
        if not allowed:
            raise self._refused(f"its host {printable(host)} resolves to {', '.join(found[:3])}, not a public address")
        return allowed

    def _refused(self, why: str) -> UpstreamError:
        key = f"upstreams.{self._upstream}.private_addresses = true"
        return UpstreamRejected(self._upstream, f"{why}; nothing was sent. If it is meant, set {key}")
