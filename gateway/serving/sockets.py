"""Listening sockets, bound before anything else so that a port in use is a clear sentence."""

from __future__ import annotations

import socket
from collections.abc import Sequence

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


def address_of(sock: socket.socket) -> str:
    """The address that a socket is bound to, with the port that it really has."""
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
