from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from gateway.errors import StartError
from gateway.profile.profile import Profile
from gateway.profile.serving import Admin, Server
from gateway.serving.sockets import address_of
from gateway.serving.systemd.passed import Passed, Plan, plan, take_passed


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def listening(stack: ExitStack) -> socket.socket:
    return stack.enter_context(socket.create_server(("127.0.0.1", 0)))


def profile(*bind: str, admin: str | None = "127.0.0.1:1", sockets: tuple[str, ...] = ()) -> Profile:
    return Profile(
        server=Server(bind=bind, sockets=sockets),
        admin=Admin(bind=(admin or "127.0.0.1:1",), enabled=admin is not None),
    )


def test_by_name(stack: ExitStack) -> None:
    """Sockets named `mcp` and `admin` stand for all that the profile says to bind there, wherever they are bound to."""
    first, second, third = (listening(stack) for _ in range(3))
    passed = [Passed(first, "mcp"), Passed(second, "admin"), Passed(third, "mcp")]
    planned = plan(profile("127.0.0.1:2", sockets=("/run/s",)), passed)
    assert planned == Plan([first, third], [second], [], [], [])


def test_by_address(stack: ExitStack, tmp_path: Path) -> None:
    """One with another name stands for the address that it is bound to; the rest of the profile is bound as ever."""
    mcp, admin, unix = listening(stack), listening(stack), stack.enter_context(socket.socket(socket.AF_UNIX))
    path = str(tmp_path / "s")
    unix.bind(path)
    unix.listen()
    passed = [Passed(admin, "gateway@production.socket"), Passed(unix), Passed(mcp)]
    localhost = address_of(mcp).replace("127.0.0.1", "localhost")
    planned = plan(profile("127.0.0.1:2", localhost, admin=address_of(admin), sockets=("/run/s", path)), passed)
    assert planned == Plan([unix, mcp], [admin], ["127.0.0.1:2"], ["/run/s"], [])


def test_nothing_passed() -> None:
    """Then everything is bound."""
    planned = plan(profile("127.0.0.1:2", sockets=("/run/s",)), [])
    assert planned == Plan([], [], ["127.0.0.1:2"], ["/run/s"], ["127.0.0.1:1"])


def test_what_fits_nothing(stack: ExitStack) -> None:
    """It is a sentence with its name and address and what was expected."""
    sock, other = listening(stack), listening(stack)
    address = address_of(sock)
    with pytest.raises(StartError) as caught:
        plan(profile("127.0.0.1:2"), [Passed(other, "mcp"), Passed(sock, "web")])
    assert str(caught.value) == (
        f"LISTEN_FDS: the socket web at {address} was passed and fits nothing: expected FileDescriptorName=mcp or "
        "admin in its socket unit, or an address of server.bind, server.sockets or admin.bind "
        "(127.0.0.1:2, 127.0.0.1:1)"
    )


def test_an_admin_socket_without_an_admin_site(stack: ExitStack) -> None:
    """The sentence says why it fits nothing."""
    with pytest.raises(StartError, match=r"fits nothing; admin\.enabled is false: expected"):
        plan(profile("127.0.0.1:2", admin=None), [Passed(listening(stack), "admin")])


def test_a_connection(stack: ExitStack) -> None:
    """A socket unit that accepts by itself is told how not to."""
    server = listening(stack)
    client = stack.enter_context(closing(socket.create_connection(server.getsockname())))
    with pytest.raises(StartError, match=r"expected one that listens, found a connection; set Accept=no"):
        plan(profile("127.0.0.1:2"), [Passed(client, "mcp")])


def test_a_datagram_socket(stack: ExitStack) -> None:
    """One that has no connections is told what it should be."""
    sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with pytest.raises(StartError, match=r"expected one of ListenStream=, found another kind"):
        plan(profile("127.0.0.1:2"), [Passed(sock, "mcp")])


@pytest.mark.parametrize("pid", ["1", ""])
def test_passed_to_another_process(pid: str) -> None:
    """What was meant for who started this one is left alone, and forgotten."""
    environ = {"LISTEN_PID": pid, "LISTEN_FDS": "2", "LISTEN_FDNAMES": "mcp:admin", "HOME": "/"}
    assert take_passed(environ) == []
    assert environ == {"HOME": "/"}


@pytest.mark.parametrize("count", ["", "one", "-1", "1.5"])
def test_no_number(count: str) -> None:
    """A count that is none is a sentence."""
    with pytest.raises(StartError) as caught:
        take_passed({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": count})
    assert str(caught.value) == f"LISTEN_FDS: expected a number of sockets, found {count!r}"


def test_an_abstract_socket(stack: ExitStack) -> None:
    """Its address is told as systemd writes it."""
    sock = stack.enter_context(socket.socket(socket.AF_UNIX))
    sock.bind(f"\0gateway-test-{os.getpid()}")
    assert address_of(sock) == f"unix:@gateway-test-{os.getpid()}"
