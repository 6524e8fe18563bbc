from __future__ import annotations

import pytest

from gateway.serving.address_buckets import AddressBuckets, network_of
from tests.serving.gate import once


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("2001:DB8::1", "2001:db8:0:0::2", True),
        ("", "/run/gateway.sock", True),
        ("unknown", "\x00abstract", True),
        ("192.0.2.1", "", False),
        ("127.0.0.1", "::1", False),
    ],
)
def test_what_counts_as_one_address(one: str, other: str, same: bool) -> None:
    """An IPv4 address, the /64 of an IPv6 one, and everything that is no address together."""
    assert (network_of(one) == network_of(other)) is same


def test_the_table_of_addresses_is_bounded() -> None:
    """The address that has not asked for longest is forgotten, and who asks all the time is not."""
    buckets = AddressBuckets(once(1.0), room=3)
    often = buckets.of("192.0.2.1")
    for number in range(2, 200):
        buckets.of(f"192.0.2.{number}")
        assert buckets.of("192.0.2.1") is often
        assert len(buckets) <= 3
    kept = buckets.of("192.0.2.199")
    assert buckets.of("192.0.2.199") is kept
    again = buckets.of("192.0.2.2")
    assert buckets.of("192.0.2.2") is again
