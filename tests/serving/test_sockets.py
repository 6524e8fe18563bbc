from __future__ import annotations

import errno
import socket
from contextlib import closing

import pytest

from gateway.errors import StartError
from gateway.serving.sockets import address_of, bind


@pytest.fixture
def taken() -> socket.socket:
    """A socket that listens on a free port of 127.0.0.1."""
    return socket.create_server(("127.0.0.1", 0))


def test_a_free_port() -> None:
    """Port 0 is a free one, and each socket says which."""
    first, second = bind("server.bind", ["127.0.0.1:0", "127.0.0.1:0"])
    with closing(first), closing(second):
        assert address_of(first) != address_of(second)
        host, _, port = address_of(first).rpartition(":")
        with closing(socket.create_connection((host, int(port)), timeout=10)):
            pass


def test_ipv6() -> None:
    """An IPv6 address is written and read in brackets."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    (sock,) = bind("server.bind", ["[::1]:0"])
    with closing(sock):
        assert address_of(sock).startswith("[::1]:")


def test_a_port_in_use(taken: socket.socket) -> None:
    """A port in use is one sentence with the profile's key and the address."""
    with closing(taken):
        address = address_of(taken)
        with pytest.raises(StartError) as caught:
            bind("server.bind", [address])
        assert str(caught.value) == f"server.bind: can't listen on {address}: Address already in use"


def test_none_is_left_open(taken: socket.socket) -> None:
    """When one address can't be had, those before it are given back."""
    with closing(taken):
        with closing(socket.create_server(("127.0.0.1", 0))) as probe:
            free = address_of(probe)
        with pytest.raises(StartError):
            bind("server.bind", [free, address_of(taken)])
        (again,) = bind("server.bind", [free])
        again.close()


def test_the_same_address_twice() -> None:
    """An address that is named twice is in use the second time."""
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        free = address_of(probe)
    with pytest.raises(StartError, match="Address already in use"):
        bind("admin.bind", [free, free])


def test_not_an_address_of_this_machine() -> None:
    """An address of another machine is said to be one."""
    with pytest.raises(StartError, match=r"^server\.bind: can't listen on 192\.0\.2\.1:0: Cannot assign requested"):
        bind("server.bind", ["192.0.2.1:0"])


def test_a_machine_without_the_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no IPv6, that is a sentence too."""

    def refuse(*_: object) -> socket.socket:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(StartError, match=r"\[::1\]:0: Address family not supported by protocol"):
        bind("server.bind", ["[::1]:0"])
