from __future__ import annotations

import errno
import socket
import stat
from contextlib import closing
from pathlib import Path

import pytest

from gateway.errors import StartError
from gateway.serving.sockets import address_of, bind, bind_paths, remove_path


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


def test_a_unix_socket(tmp_path: Path) -> None:
    """It listens at its path, for whom the mode says; what a process that is no more left there is replaced."""
    path = str(tmp_path / "s")
    (left,) = bind_paths("server.sockets", [path], 0o600)
    left.close()
    (sock,) = bind_paths("server.sockets", [path], 0o640)
    with closing(sock), socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        assert address_of(sock) == f"unix:{path}"
        assert stat.S_IMODE(Path(path).stat().st_mode) == 0o640
    remove_path(path)
    assert not Path(path).exists()
    remove_path(path)


def test_a_unix_socket_that_is_taken(tmp_path: Path) -> None:
    """Neither a process that listens nor a file that is no socket is replaced; and none is left open."""
    path, file = str(tmp_path / "s"), tmp_path / "file"
    file.write_text("kept")
    (sock,) = bind_paths("server.sockets", [path], 0o600)
    with closing(sock):
        for taken in (path, str(file)):
            with pytest.raises(StartError) as caught:
                bind_paths("server.sockets", [str(tmp_path / "free"), taken], 0o600)
            assert str(caught.value) == f"server.sockets: can't listen on {taken}: Address already in use"
    assert file.read_text() == "kept"
    with pytest.raises(StartError, match="No such file or directory"):
        bind_paths("server.sockets", [str(tmp_path / "none" / "s")], 0o600)
