"""A token bucket for each address that asks, in bounded memory."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache

from gateway.profile.upstreams.policies import RateLimit
from gateway.upstream.policies.rate import Bucket

ROOM = 10_000
"""Addresses that are remembered, of some 500 bytes each; one more forgets the one that has not asked for longest."""


class AddressBuckets:
    """The buckets of clients that have no name but an address; looking one up takes constant time.

    Whoever asks too often asks often, so its bucket is among the last to be forgotten; an address that was forgotten
    starts with a full one.
    """

    def __init__(
        self,
        section: RateLimit,
        room: int = ROOM,
        make: Callable[[str, str, RateLimit], Bucket] = lambda _kind, _name, section: Bucket(section),
    ) -> None:
        self._section = section
        self._room = room
        self._make = make
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._buckets)

    def of(self, address: str) -> Bucket:
        """The bucket that `address` shares with all of its network."""
        network = network_of(address)
        bucket = self._buckets.get(network)
        if bucket is not None:
            self._buckets.move_to_end(network)
            return bucket
        bucket = self._buckets[network] = self._make("address", network, self._section)
        if len(self._buckets) > self._room:
            self._buckets.popitem(last=False)
        return bucket


@lru_cache(maxsize=ROOM)
def network_of(address: str) -> str:
    """What an address is counted by: an IPv4 address by itself, an IPv6 one by its /64, all else as one, "".

    A /64 is the least that one subscriber gets (RFC 6177, section 2), and whoever has it can ask from any part of it.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{ipaddress.IPv6Address(int(parsed) >> 64 << 64)}/64"
