"""Listening sockets, bound before anything else so that a port in use is a clear sentence."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from gateway.errors import StartError


def bind(key: str, addresses: Sequence[str]) -> list[socket.socket]:
    """A socket bound to each address ("127.0.0.1:8765", "[::1]:0"), not listening yet.

    Raises StartError, naming the profile's `key`, when one can't be bound; none is left open then.
    """
    bound: list[socket.socket] = []
    try:
        bound.extend(_bind_one(key, address) for address in addresses)
    except BaseException:
        for sock in bound:
            sock.close()
        raise
    return bound


def bind_paths(key: str, paths: Sequence[str], mode: int) -> list[socket.socket]:
    """A Unix socket at each path, to which `mode` says who may connect; it listens.

    What a process that is no more has left there is replaced. Raises StartError, naming the profile's `key`; none is
    left open then.
    """
    bound: list[socket.socket] = []
    try:
        bound.extend(_bind_path(key, path, mode) for path in paths)
    except BaseException:
        for sock in bound:
            sock.close()
        raise
    return bound


def remove_path(path: str) -> None:
    """Remove what a Unix socket has left in the file system, if it is still there."""
    with suppress(OSError):
        Path(path).unlink()


def address_of(sock: socket.socket) -> str:
    """The address that a socket is bound to, with the port that it really has; of a Unix socket `unix:PATH`."""
    if sock.family == socket.AF_UNIX:
        name = sock.getsockname()
        return f"unix:@{name[1:].decode()}" if isinstance(name, bytes) else f"unix:{name}"  # abstract ones are bytes
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if sock.family == socket.AF_INET6 else f"{host}:{port}"


def _bind_one(key: str, address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    sock = None
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host.strip("[]"), int(port)))
        # Two sockets may be bound to one port as long as neither listens; only listening settles it.
        sock.listen(1024)
    except OSError as error:
        if sock is not None:
            sock.close()
        reason = error.strerror or str(error)
        raise StartError(f"{key}: can't listen on {address}: {reason}") from error
    return sock


def _bind_path(key: str, path: str, mode: int) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~mode)
    try:
        if _is_left_over(path):
            Path(path).unlink()
        sock.bind(path)
        sock.listen(1024)
    except OSError as error:
        sock.close()
        raise StartError(f"{key}: can't listen on {path}: {error.strerror or error}") from error
    finally:
        os.umask(before)
    return sock


def _is_left_over(path: str) -> bool:
    """Whether there is a socket that nobody listens on any more."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return False
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False
