"""What is wrong with who may ask, and that no section can see alone."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.profile.faults import Contradiction, Finding
from gateway.profile.positions import dotted
from gateway.profile.profile import Profile


def client_faults(profile: Profile) -> Iterator[Finding]:
    """Every token that an earlier client has: who asks with it could not be told."""
    owners: dict[str, str] = {}
    for name, client in profile.clients.items():
        owner = owners.setdefault(client.token, name)
        if owner != name:
            yield Finding(
                ("clients", name, "token"), f"another token than that of {dotted(('clients', owner))}", secret=True
            )


def client_contradictions(profile: Profile) -> Iterator[Contradiction]:
    """Clients that nobody asks for, and a question that nobody can answer."""
    asks = profile.server.authentication == "bearer"
    if asks and not profile.clients:
        yield Contradiction(
            (("server", "authentication"),),
            "there are no clients, so nobody may ask",
            'add one: [clients.NAME] with token = "${credential:NAME}"',
        )
    if profile.clients and not asks:
        yield Contradiction(
            (("clients",), ("server", "authentication")),
            "nobody is asked for a token, so whoever reaches the server is answered",
            'set server.authentication = "bearer"',
        )
