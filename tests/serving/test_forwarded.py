from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.profile.serving import Server
from gateway.serving.forwarded import Proxies
from tests.serving.gate import ALICE, Gate, bearer

TRUSTED = ("10.0.0.0/8", "127.0.0.1", "2001:db8::/32", "unix")


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", [b"192.0.2.7"], "192.0.2.7"),
        ("10.0.0.1", [b"192.0.2.7, 10.9.9.9"], "192.0.2.7"),
        ("10.0.0.1", [b"192.0.2.7", b"10.9.9.9"], "192.0.2.7"),
        ("10.0.0.1", [b"198.51.100.1,192.0.2.7"], "192.0.2.7"),  # the first is what the client says of itself
        ("10.0.0.1", [b"2001:db9::1"], "2001:db9::1"),
        ("", [b" 192.0.2.7 "], "192.0.2.7"),
        ("::ffff:127.0.0.1", [b"192.0.2.7"], "192.0.2.7"),
        ("2001:db8::5", [b"192.0.2.7"], "192.0.2.7"),
        ("10.0.0.1", [b"10.1.1.1"], "10.1.1.1"),  # a client of the proxies' own network
        ("192.0.2.9", [b"192.0.2.7"], "192.0.2.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [b""], "10.0.0.1"),
        ("10.0.0.1", [b"unknown"], "10.0.0.1"),
        ("10.0.0.1", [b"192.0.2.7, \xff"], "10.0.0.1"),
        ("10.0.0.1", [b"192.0.2.7, unix"], "10.0.0.1"),
    ],
)
def test_who_asks(peer: str, forwarded: list[bytes], client: str) -> None:
    """It is whom the trusted proxies name, never what a client says of itself."""
    assert Proxies(TRUSTED).client_of(peer, forwarded) == client


def test_a_socket_is_not_trusted_unasked() -> None:
    """Whoever connects to a Unix socket is believed only where the profile says `unix`."""
    assert Proxies(("10.0.0.0/8",)).client_of("", [b"192.0.2.7"]) == ""


def test_a_long_way() -> None:
    """A header that names thousands of proxies is not followed to its end."""
    assert Proxies(TRUSTED).client_of("10.0.0.1", [b"192.0.2.7" + b",10.0.0.2" * 5000]) == "10.0.0.2"


@given(st.lists(st.binary(max_size=40), max_size=4))
def test_any_header(forwarded: list[bytes]) -> None:
    """Whatever is said, there is an answer, and it is the peer or an address."""
    assert Proxies(TRUSTED).client_of("10.0.0.1", forwarded)


def test_a_limit_for_each_client_of_a_proxy() -> None:
    """With a trusted proxy in between each client has its own rate limit, and nobody gets another by lying."""
    gate = Gate(authentication="none", limit=(1, 60.0), trusted=("127.0.0.1",))

    def ask(forwarded: bytes) -> bool:
        return bool(getattr(gate.admission.admit((), "127.0.0.1", [forwarded]), "status", 200) == 200)

    assert ask(b"192.0.2.1")
    assert ask(b"192.0.2.2")
    assert not ask(b"192.0.2.1")
    assert not ask(b"203.0.113.5, 192.0.2.1")


def test_tokens_do_not_care() -> None:
    """A client that has a name has it through every proxy."""
    gate = Gate(trusted=("127.0.0.1",))
    assert gate.admission.admit([bearer(ALICE)], "127.0.0.1", [b"192.0.2.1"]) == gate.ask(bearer(ALICE))


@pytest.mark.parametrize("value", ["10.0.0.1/8", "proxy.example.org", "", "10.0.0.0/33", "UNIX"])
def test_what_is_no_proxy(value: str) -> None:
    """A name, or a network with bits of a host in it, is a fault."""
    with pytest.raises(ValueError, match=r'expected an IP address, a network such as "10\.0\.0\.0/8", or "unix"'):
        Server(trusted_proxies=(value,))
