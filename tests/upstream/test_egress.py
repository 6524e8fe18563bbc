from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import httpcore2
import pytest
import trio

from gateway.errors import UpstreamRejected, UpstreamUnavailable
from gateway.upstream.egress import VettedBackend, is_public, resolve
from tests.fakes.http_server import HttpServer


class Names:
    """A resolver that answers from a list, one answer at each question; the last stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        await trio.lowlevel.checkpoint()
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


async def dial(backend: VettedBackend, host: str, port: int) -> None:
    stream = await backend.connect_tcp(host, port)
    await stream.aclose()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1",
        "::1", "::", "fe80::1", "fc00::1", "fec0::1", "ff02::1", "2001:db8::1", "::7f00:1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2002:a00:1::1",
        "192.0.0.100", "192.0.0.192", "::ffff:192.0.0.192", "64:ff9b:1::7f00:1", "3fff::1", "5f00::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_one_public_host(address: str) -> None:
    """Private, loopback, link-local, shared, multicast, reserved, and IPv6 addresses that carry such ones."""
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
)
def test_public_addresses(address: str) -> None:
    """Global unicast addresses, and IPv6 addresses that carry such ones."""
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "host",
    ["127.1", "0x7f000001", "2130706433", "0177.0.0.1", "::ffff:127.0.0.1", "127.0.0.01", "0:0:0:0:0:0:0:1", "0"],
)
async def test_unusual_spellings_of_addresses_are_refused(host: str) -> None:
    """What only some resolvers take for an address is refused before it is resolved."""
    names = Names(["127.0.0.1"])
    with pytest.raises(UpstreamRejected) as refused:
        await dial(VettedBackend("api", private_addresses=False, resolve=names), host, 80)
    assert str(refused.value) == (
        f"api: its host {host} is an address in an unusual spelling; nothing was sent. "
        "If it is meant, set upstreams.api.private_addresses = true"
    )
    assert names.asked == []


async def test_a_name_with_private_addresses_only_is_refused() -> None:
    """The sentence says what the name resolved to and which key allows it."""
    names = Names(["10.0.0.5", "::1"])
    with pytest.raises(UpstreamRejected) as refused:
        await dial(VettedBackend("api", private_addresses=False, resolve=names), "intranet.example", 80)
    assert str(refused.value) == (
        "api: its host intranet.example resolves to 10.0.0.5, ::1, not a public address; nothing was sent. "
        "If it is meant, set upstreams.api.private_addresses = true"
    )


async def test_of_a_mix_only_public_addresses_are_dialled(server: HttpServer) -> None:
    """A private address among public ones is passed over, although something listens there."""
    names = Names(["127.0.0.1", "192.0.2.1", "1.1.1.1"])
    backend = VettedBackend("api", private_addresses=False, resolve=names)
    assert await backend._vetted("mixed.example", server.port) == ["1.1.1.1"]


async def test_the_vetted_address_is_the_one_dialled(server: HttpServer) -> None:
    """The name is resolved once for each connection, so a second answer can't replace what was vetted."""
    names = Names(["127.0.0.1"], ["192.0.2.1"])
    await dial(VettedBackend("api", private_addresses=True, resolve=names), "rebinding.example", server.port)
    assert names.asked == ["rebinding.example"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_an_address_or_localhost_in_the_profile_is_the_operators_word(server: HttpServer, host: str) -> None:
    """These are dialled without the key."""
    await dial(VettedBackend("api", private_addresses=False), host, server.port)


async def test_localhost_is_this_machine_whatever_the_resolver_says() -> None:
    """RFC 6761, section 6.3: a resolver that sends localhost elsewhere is not followed."""
    names = Names(["1.1.1.1"])
    with pytest.raises(UpstreamRejected, match=r"localhost resolves to 1\.1\.1\.1"):
        await dial(VettedBackend("api", private_addresses=False, resolve=names), "localhost", 80)


async def test_private_addresses_are_allowed_where_the_profile_says_so(server: HttpServer) -> None:
    """With the key a name may lead anywhere."""
    names = Names(["127.0.0.1"])
    await dial(VettedBackend("api", private_addresses=True, resolve=names), "intranet.example", server.port)


async def test_the_next_address_is_tried_when_one_does_not_answer(server: HttpServer) -> None:
    """The addresses are tried in order until one accepts."""
    names = Names(["127.0.0.2", "127.0.0.1"])
    await dial(VettedBackend("api", private_addresses=True, resolve=names), "two.example", server.port)


async def test_the_last_error_stands_for_all_addresses() -> None:
    """When no address answers, the pool hears why the last one did not."""
    with trio.socket.socket() as unused:
        await unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    names = Names(["127.0.0.2", "127.0.0.1"])
    with pytest.raises(httpcore2.ConnectError):
        await dial(VettedBackend("api", private_addresses=True, resolve=names), "two.example", port)


async def test_a_name_that_does_not_resolve() -> None:
    """The system's reason is passed on."""
    with pytest.raises(UpstreamUnavailable, match=r"^api: its host nowhere\.invalid can't be resolved: \w+"):
        await dial(VettedBackend("api", private_addresses=False), "nowhere.invalid", 80)
    with pytest.raises(UpstreamUnavailable, match=r"its host a\.\.b can't be resolved"):
        await dial(VettedBackend("api", private_addresses=False), "a..b", 80)
    with pytest.raises(UpstreamUnavailable, match=r"its host empty\.example has no address"):
        await dial(VettedBackend("api", private_addresses=False, resolve=Names([])), "empty.example", 80)


async def test_the_systems_resolver() -> None:
    """`resolve` answers numeric addresses, each once."""
    found = await resolve("localhost", 80)
    assert set(found) <= {"127.0.0.1", "::1"}
    assert len(found) == len(set(found)) > 0
