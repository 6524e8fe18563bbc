"""Whose request it is that a proxy passes on."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

_MOST_HOPS = 16
"""Proxies that a request may have come through; what is further away is not looked at."""


class Proxies:
    """The proxies that the profile trusts (`server.trusted_proxies`); a value."""

    def __init__(self, trusted: Sequence[str]) -> None:
        self._trusts_unix = "unix" in trusted
        self._networks = tuple(ipaddress.ip_network(each) for each in trusted if each != "unix")
        self._trusts = lru_cache(maxsize=1000)(self._is_trusted)

    def client_of(self, peer: str, forwarded: Sequence[bytes]) -> str:
        """The address of the client; `forwarded` are the values of all `X-Forwarded-For` headers.

        Each proxy adds whom it was asked by at the end. So it is read from there for as long as whoever added it is
        trusted: what a client writes itself stands before that and counts for nothing. `peer` is who is connected, an
        IP address or "" for a Unix socket; it is the answer where no trusted proxy says anything, or no address.
        """
        if not forwarded or not self._trusts(peer):
            return peer
        client = peer
        for said in reversed(b",".join(forwarded).rsplit(b",", _MOST_HOPS)[-_MOST_HOPS:]):
            address = said.strip().decode("latin-1")
            if not _is_address(address):
                return client
            client = address
            if not self._trusts(client):
                return client
        return client

    def _is_trusted(self, address: str) -> bool:
        if not address:
            return self._trusts_unix
        parsed = ipaddress.ip_address(address)
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped  # a socket of both families (systemd's) has it so
        return any(parsed in network for network in self._networks)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
