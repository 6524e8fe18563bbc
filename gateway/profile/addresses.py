"""What the addresses that the gateway listens on mean: who can reach them, and which of them clash."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from gateway.profile.faults import Finding, shown
from gateway.profile.positions import KeyPath
from gateway.profile.serving import Admin, Server


def host(bind: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IP address of a checked `bind`; `localhost` is 127.0.0.1."""
    name = bind.rpartition(":")[0].strip("[]")
    return ipaddress.ip_address("127.0.0.1" if name == "localhost" else name)


def port(bind: str) -> int:
    """The port of a checked `bind`; 0 takes a free one."""
    return int(bind.rpartition(":")[2])


def clashes(server: Server, admin: Admin) -> Iterator[Finding]:
    """Every address that something else listens on already."""
    taken: list[tuple[str, str]] = []
    binds: list[tuple[KeyPath, str]] = [(("server", "bind", index), bind) for index, bind in enumerate(server.bind)]
    if admin.enabled:
        binds += [(("admin", "bind", index), bind) for index, bind in enumerate(admin.bind)]
    for path, bind in binds:
        if clash := next((name for name, other in taken if _clash(bind, other)), None):
            yield Finding(path, "an address that nothing else listens on", f"{shown(bind)}, which [{clash}] takes")
        taken.append((str(path[0]), bind))


def _clash(one: str, other: str) -> bool:
    """Whether one socket keeps the other from opening: port 0 is always free, and 0.0.0.0 leaves IPv6 alone."""
    if port(one) != port(other) or port(one) == 0 or host(one).version != host(other).version:
        return False
    return host(one) == host(other) or host(one).is_unspecified or host(other).is_unspecified
