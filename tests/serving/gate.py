"""An admission of two clients, and what asking it comes to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast

from gateway.profile.clients import Client as Known
from gateway.profile.profile import Profile
from gateway.profile.serving import Server
from gateway.profile.upstreams.policies import RateLimit
from gateway.serving.admission import Admission, Client, Refusal
from gateway.telemetry.telemetry import Telemetry

ALICE = "alice-0123456789"
BOB = "bob~0123+456/789=="
NO_TOKEN = b"Only known clients are answered: send Authorization: Bearer TOKEN (server.authentication)\n"


def once(window: float) -> RateLimit:
    return RateLimit.model_construct(max=1, window=window)


class Gate:
    """An admission with a clock that stands until it is moved."""

    def __init__(
        self,
        *,
        authentication: Literal["none", "bearer"] = "bearer",
        limit: tuple[int, float] | None = None,
        clients: Mapping[str, Known] | None = None,
        name: str = "gateway",
        trusted: tuple[str, ...] = (),
    ) -> None:
        known = {"alice": Known(token=ALICE), "bob": Known(token=BOB)} if clients is None else clients
        rate = RateLimit.model_construct(max=limit[0], window=limit[1]) if limit is not None else None
        self.now = 1000.0
        self.telemetry = Telemetry()
        self.profile = Profile(
            server=Server(authentication=authentication, name=name, rate_limit=rate, trusted_proxies=trusted),
            clients=dict(known),
        )
        self.admission = Admission(self.profile, self.telemetry, lambda: self.now)

    def ask(self, *authorizations: bytes, address: str = "192.0.2.1") -> Client | Refusal:
        return self.admission.admit(authorizations, address)

    def refused(self, *authorizations: bytes, address: str = "192.0.2.1") -> Refusal:
        refusal = self.ask(*authorizations, address=address)
        assert isinstance(refusal, Refusal)
        return refusal

    def counted(self) -> dict[tuple[str, ...], float]:
        return cast("dict[tuple[str, ...], float]", dict(self.telemetry.refusals.metric().samples))


def bearer(token: str, scheme: str = "Bearer") -> bytes:
    return f"{scheme} {token}".encode("latin-1")
