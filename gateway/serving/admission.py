"""Who may ask, and how often: bearer tokens and rate limits of MCP over HTTP, decided without waiting for anything."""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Literal

import structlog

from gateway.profile.positions import dotted
from gateway.profile.profile import Profile
from gateway.profile.units import format_duration
from gateway.profile.upstreams.policies import RateLimit
from gateway.serving.address_buckets import AddressBuckets
from gateway.serving.forwarded import Proxies
from gateway.telemetry.telemetry import Telemetry
from gateway.upstream.policies.rate import Bucket

log = structlog.get_logger(__name__)

Reason = Literal["no_token", "unknown_token", "several_tokens", "rate_limit"]
"""Why a request is refused."""

_PAUSE = 1.0
"""Seconds between two lines about refusals of the same reason: whoever asks decides how many there are."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks, as the profile calls it; the name is empty where it has none for it."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to a request that is not admitted: a short text, and headers beside its type and length."""

    reason: Reason
    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class _Known:
    """A client of the profile, with the bucket that its requests are taken from and the section that made it."""

    client: Client
    bucket: Bucket | None
    limit: RateLimit | None
    key: str


ANYONE = Client()
"""Whoever asks, where nobody has a name."""

_own = [f"Bearer {secrets.token_urlsafe(32)}".encode()]
"""What this process asks itself with; a list, since workers have that of their supervisor."""

CLIENT = "gateway.client"
"""The key of an ASGI scope that holds its `Client`."""


class Admission:
    """Decides who may ask, out of the profile alone: a value, with one bucket for each client and nothing to close.

    `bucket` makes those, of a kind (client or address) and a name.

    Tokens are kept and looked up as keyed hashes: how long a look-up takes depends on a hash that nobody outside can
    know, and not on how much of a token was guessed.

    A wrong token is not counted against its address: who guesses would still see which one is not refused for it. Its
    length is the protection.
    """

    def __init__(
        self,
        profile: Profile,
        telemetry: Telemetry,
        now: Callable[[], float] = monotonic,
        bucket: Callable[[str, str, RateLimit], Bucket] = lambda _kind, _name, section: Bucket(section),
    ) -> None:
        server = profile.server
        self._about = _about(profile)
        self._now = now
        self._refusals = telemetry.refusals
        self._told: dict[Reason, float] = {}
        self._authenticates = server.authentication == "bearer"
        self._key = secrets.token_bytes(32)
        self._known: dict[bytes, _Known] = {}
        for name, section in profile.clients.items():
            limit, key = section.rate_limit, dotted(("clients", name, "rate_limit"))
            if limit is None:
                limit, key = server.rate_limit, "server.rate_limit"
            known = _Known(Client(name), bucket("client", name, limit) if limit is not None else None, limit, key)
            self._known[self._hash(section.token.encode())] = known
        self._known[self._hash(_token(own_credential()))] = _Known(ANYONE, None, None, "")
        self._limit = server.rate_limit
        self._addresses = AddressBuckets(server.rate_limit, make=bucket) if server.rate_limit is not None else None
        self.needed = self._authenticates or self._addresses is not None
        """Whether there is anything to check."""
        self._proxies = Proxies(server.trusted_proxies) if server.trusted_proxies else None
        realm = f'Bearer realm="{_quotable(server.name)}"'
        self._no_token = _refusal("no_token", realm)
        self._unknown = _refusal("unknown_token", f'{realm}, error="invalid_token"')
        self._several = _refusal("several_tokens", f'{realm}, error="invalid_request"')

    def admits_by(self, profile: Profile) -> bool:
        """Whether it decides as one of `profile` would: then it can go on, with what its buckets have left."""
        return _about(profile) == self._about

    def admit(self, authorizations: Sequence[bytes], address: str, forwarded: Sequence[bytes] = ()) -> Client | Refusal:
        """Who asks, or the answer that refuses it; each call counts as one request.

        `authorizations` are the values of all Authorization headers, as they were sent, and `forwarded` those of
        X-Forwarded-For; `address` is the peer's IP address without its port, or "" where there is none. Takes a
        microsecond or two.

        Sources: RFC 6750, sections 2.1 and 3; RFC 6585, section 4 (429); RFC 9110, section 10.2.3 (Retry-After).
        """
        if self._proxies is not None:
            address = self._proxies.client_of(address, forwarded)
        if not self._authenticates:
            if self._addresses is None or self._limit is None:
                return ANYONE
            if len(authorizations) == 1 and secrets.compare_digest(authorizations[0], _own[0]):
                return ANYONE
            return self._within(self._addresses.of(address), self._limit, "server.rate_limit", ANYONE, address)
        if len(authorizations) > 1:
            return self._told_of(self._several, ANYONE, address, "server.authentication")
        token = _token(authorizations[0]) if authorizations else b""
        if not token:
            return self._told_of(self._no_token, ANYONE, address, "server.authentication")
        known = self._known.get(self._hash(token))
        if known is None:
            return self._told_of(self._unknown, ANYONE, address, "clients")
        if known.bucket is None or known.limit is None:
            return known.client
        return self._within(known.bucket, known.limit, known.key, known.client, address)

    def _within(self, bucket: Bucket, limit: RateLimit, key: str, client: Client, address: str) -> Client | Refusal:
        """The client, where its bucket has a token for it."""
        now = self._now()
        ready = bucket.take_nowait(now)
        if ready <= now:
            return client
        wait = max(1, math.ceil(ready - now))
        rate = f"{limit.max} in {format_duration(limit.window)}"
        sentence = f"Too many requests: at most {rate}, the next one in {wait}s ({key})\n"
        refusal = Refusal("rate_limit", 429, sentence.encode(), ((b"retry-after", str(wait).encode()),))
        return self._told_of(refusal, client, address, key)

    def _told_of(self, refusal: Refusal, client: Client, address: str, key: str) -> Refusal:
        """`refusal`, counted and, once in a while, in the log; never with what was sent."""
        self._refusals.add(refusal.reason, client.name)
        now = self._now()
        if now >= self._told.get(refusal.reason, float("-inf")) + _PAUSE:
            self._told[refusal.reason] = now
            named = {"client": client.name} if client.name else {}
            log.warning("request refused", reason=refusal.reason, **named, address=address, key=key)
        return refusal

    def _hash(self, token: bytes) -> bytes:
        return hashlib.blake2b(token, digest_size=32, key=self._key).digest()


def own_credential() -> bytes:
    """What a gateway asks itself with, to see that it answers: always let in, and in no count or limit."""
    return _own[0]


def take_own_credential(credential: bytes) -> None:
    """Let in who asks with another one, in place of this process's own: its supervisor. Before anybody is admitted."""
    _own[0] = credential


def caller_of(client: Client, credential: str) -> str:
    """Who owns private answers: a named client, whatever its token is now; else whoever holds the same credential.

    Of a credential it is a hash, since it stands in keys. Whether that is good is for whatever stands in front to say.
    `credential` is the value of the Authorization header, decoded as latin-1; empty where there is none.
    """
    if client.name:
        return f"client:{client.name}"  # which no hash looks like
    return hashlib.blake2b(credential.encode(), digest_size=12).hexdigest() if credential else ""


_SENTENCES: dict[Reason, tuple[int, str]] = {
    "no_token": (401, "Only known clients are answered: send Authorization: Bearer TOKEN (server.authentication)\n"),
    "unknown_token": (401, "No client has this token (clients)\n"),
    "several_tokens": (400, "One Authorization header says who asks, and there are several (server.authentication)\n"),
}


def _about(profile: Profile) -> tuple[object, ...]:
    server = profile.server
    return server.authentication, server.rate_limit, server.name, server.trusted_proxies, profile.clients


def _refusal(reason: Reason, challenge: str) -> Refusal:
    status, sentence = _SENTENCES[reason]
    return Refusal(reason, status, sentence.encode(), ((b"www-authenticate", challenge.encode()),))


def _token(authorization: bytes) -> bytes:
    """The token of `Bearer TOKEN`; empty where it is another scheme, or has none (RFC 9110, section 11.4)."""
    scheme, _, token = authorization.strip(b" \t").partition(b" ")
    return token.lstrip(b" ") if scheme.lower() == b"bearer" else b""


def _quotable(name: str) -> str:
    """`name` as what a quoted string may hold (RFC 9110, section 5.6.4), in plain ASCII."""
    plain = "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in name)
    return plain.replace("\\", "\\\\").replace('"', '\\"')
