"""Sockets that systemd has opened and listens on, for the gateway to serve (socket activation, sd_listen_fds(3))."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import dataclass

from gateway.errors import StartError
from gateway.profile.profile import Profile
from gateway.serving.sockets import address_of

_FIRST = 3
"""The first descriptor that is passed: SD_LISTEN_FDS_START."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A socket, and what its unit calls it (`FileDescriptorName=`); "" where nobody named it."""

    sock: socket.socket
    name: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to listen on: sockets that were passed, and what of the profile is still to be bound."""

    mcp: list[socket.socket]
    admin: list[socket.socket]
    bind: Sequence[str]
    paths: Sequence[str]
    admin_bind: Sequence[str]


def take_passed(environ: MutableMapping[str, str]) -> list[Passed]:
    """What was passed to this process; `environ` does not say so afterwards, and children don't get it.

    Raises StartError for what is no socket.
    """
    pid, count, names = (environ.pop(f"LISTEN_{key}", "") for key in ("PID", "FDS", "FDNAMES"))
    if pid != str(os.getpid()):  # it was meant for who started this process
        return []
    if not (count.isascii() and count.isdigit()):
        raise StartError(f"LISTEN_FDS: expected a number of sockets, found {count!r}")
    named = names.split(":") if names else []
    passed: list[Passed] = []
    for number in range(int(count)):
        try:
            os.set_inheritable(_FIRST + number, False)
            sock = socket.socket(fileno=_FIRST + number)
        except OSError as error:
            close_all(passed)
            problem = f"expected sockets, found the descriptor {_FIRST + number}: {error.strerror}"
            raise StartError(f"LISTEN_FDS: {problem}") from error
        passed.append(Passed(sock, named[number] if number < len(named) else ""))
    return passed


def close_all(passed: Iterable[Passed]) -> None:
    """Close them here; who passed them still has them."""
    for each in passed:
        each.sock.close()


def plan(profile: Profile, passed: Sequence[Passed]) -> Plan:
    """Who serves which of the passed sockets, and what is left to bind.

    Sockets named `mcp` stand for all that `server.bind` and `server.sockets` say, those named `admin` for `admin.bind`;
    any other stands for the address of the profile that it is bound to. Raises StartError for one that fits nothing.
    Closes none of them, whatever happens: that is for who took them.
    """
    server, admin = profile.server, profile.admin
    admin_bind = admin.bind if admin.enabled else ()
    found = Plan([], [], list(server.bind), list(server.sockets), list(admin_bind))
    for each in passed:
        _check(each)
        address = address_of(each.sock)
        if each.name == "mcp" or address in _addresses(server.bind, server.sockets):
            found.mcp.append(each.sock)
        elif admin.enabled and (each.name == "admin" or address in _addresses(admin_bind)):
            found.admin.append(each.sock)
        else:
            wanted = ", ".join((*server.bind, *server.sockets, *admin_bind))
            off = "; admin.enabled is false" if each.name == "admin" else ""
            raise StartError(
                f"{_named(each)} was passed and fits nothing{off}: expected FileDescriptorName=mcp or admin in its "
                f"socket unit, or an address of server.bind, server.sockets or admin.bind ({wanted})"
            )
    taken = {address_of(each.sock) for each in passed}
    names = {each.name for each in passed}
    return Plan(
        found.mcp,
        found.admin,
        [] if "mcp" in names else [bind for bind in server.bind if _normal(bind) not in taken],
        [] if "mcp" in names else [path for path in server.sockets if f"unix:{path}" not in taken],
        [] if "admin" in names else [bind for bind in admin_bind if _normal(bind) not in taken],
    )


def _check(passed: Passed) -> None:
    """Raise StartError for what no connection can be accepted from."""
    sock = passed.sock
    families = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)
    if sock.family not in families or sock.type != socket.SOCK_STREAM:
        raise StartError(f"{_named(passed)} was passed: expected one of ListenStream=, found another kind")
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise StartError(f"{_named(passed)} was passed: expected one that listens, found a connection; set Accept=no")


def _named(passed: Passed) -> str:
    try:
        address = address_of(passed.sock)
    except (OSError, ValueError):
        address = "an address of another kind"
    return f"LISTEN_FDS: the socket {passed.name or '(no name)'} at {address}"


def _addresses(binds: Iterable[str], paths: Iterable[str] = ()) -> set[str]:
    return {*map(_normal, binds), *(f"unix:{path}" for path in paths)}


def _normal(bind: str) -> str:
    """An address of the profile as a socket bound to it says it."""
    name, _, port = bind.rpartition(":")
    if name == "localhost":
        return f"127.0.0.1:{int(port)}"
    bare = name.strip("[]")
    return f"[{ipaddress.ip_address(bare)}]:{int(port)}" if bare != name else f"{bare}:{int(port)}"
