"""Where a gateway listens: what is bound now, and what another profile would have bound."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gateway.profile.profile import Profile
from gateway.serving.sockets import address_of, bind, bind_paths, remove_path
from gateway.serving.systemd.passed import Passed, plan

Sockets = Mapping[tuple[str, int], socket.socket]
"""By the address or path as the profile has it, and its how-manieth occurrence: port 0 may be there twice."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a gateway listens: addresses with their real ports, and its sockets."""

    mcp: Sockets
    admin: Sockets

    @property
    def mcp_addresses(self) -> list[str]:
        """Of MCP."""
        return [address_of(sock) for sock in self.mcp.values()]

    @property
    def admin_addresses(self) -> list[str]:
        """Of the admin site; empty where there is none."""
        return [address_of(sock) for sock in self.admin.values()]

    def without(self, other: Listening | None) -> list[socket.socket]:
        """The sockets that `other` has not."""
        others = [] if other is None else [*other.mcp.values(), *other.admin.values()]
        return [sock for sock in (*self.mcp.values(), *self.admin.values()) if sock not in others]

    def remove_paths(self, staying: Listening | None = None) -> None:
        """Remove from the file system what its Unix sockets have there, save those that `staying` has as well."""
        for path, number in self.mcp:
            if path.startswith("/") and (staying is None or (path, number) not in staying.mcp):
                remove_path(path)


def listen(profile: Profile, passed: Sequence[Passed] = (), before: Listening | None = None) -> Listening:
    """Bind what the profile says, was not `passed` already and `before` has not.

    Raises StartError, and then nothing new is bound. Who took what was passed closes it.
    """
    section = profile.server
    planned = plan(profile, passed)
    bound: list[socket.socket] = []
    known = before or Listening({}, {})

    def opened(key: str, addresses: Iterable[str], there: Sockets) -> Sockets:
        sockets: dict[tuple[str, int], socket.socket] = {}
        for address in addresses:
            named = address, sum(1 for other, _ in sockets if other == address)
            sock = there.get(named)
            if sock is None:
                path = address.startswith("/")
                (sock,) = bind_paths(key, [address], int(section.socket_mode, 8)) if path else bind(key, [address])
                bound.append(sock)
            sockets[named] = sock
        return sockets

    try:
        mcp = {
            **_named(planned.mcp),
            **opened("server.bind", planned.bind, known.mcp),
            **opened("server.sockets", planned.paths, known.mcp),
        }
        return Listening(mcp, {**_named(planned.admin), **opened("admin.bind", planned.admin_bind, known.admin)})
    except BaseException:
        for sock in bound:
            if sock.family == socket.AF_UNIX:
                remove_path(sock.getsockname())
            sock.close()
        raise


def _named(passed: Sequence[socket.socket]) -> Sockets:
    return {("passed", number): sock for number, sock in enumerate(passed)}
