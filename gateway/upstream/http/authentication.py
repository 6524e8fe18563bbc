"""Who asks: the header that says so. Its value is a secret and is in no log, no error and no representation."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Protocol, assert_never
from urllib.parse import quote_plus, urlencode

import httpx2
import orjson
import trio

from gateway.errors import UpstreamError, UpstreamInvalid, UpstreamRejected, UpstreamUnavailable
from gateway.pipeline.single_flight import SingleFlight
from gateway.profile.upstreams.authentication import Auth, BasicAuth, BearerAuth, HeaderAuth, OAuthAuth
from gateway.upstream.client import Client, Outgoing
from gateway.upstream.headers import Header

_BEARER = re.compile(r"[\x21-\x7e]{1,16384}")
"""A token (RFC 6749, section A.12, without spaces), which goes into a header."""


class Authentication(Protocol):
    """Says who asks."""

    async def header(self) -> Header:
        """The header to send; raises UpstreamError when there is none to be had."""

    def refused(self, header: Header) -> bool:
        """The upstream answered 401 to `header`: whether another one may do better."""


class Fixed:
    """The same header, always."""

    def __init__(self, name: str, value: str) -> None:
        self._header = (name, value)

    async def header(self) -> Header:
        """The header; returns at once."""
        return self._header

    def refused(self, header: Header) -> bool:
        """No other one is known."""
        return False


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, and for how long it may be used."""

    value: str = field(repr=False)
    usable_until: float
    """On Trio's clock."""


class ClientCredentials:
    """Tokens of OAuth 2.0 client credentials (RFC 6749, section 4.4): one for all who ask, asked for when needed."""

    def __init__(self, upstream: str, section: OAuthAuth, client: Client, flights: SingleFlight[Token]) -> None:
        self._upstream = upstream
        self._section = section
        self._client = client
        self._flights = flights
        self._token: Token | None = None

    async def header(self) -> Header:
        """The header with a token that is still good for a while.

        A token that has to be asked for is asked for once, however many wait, and also when one of them goes away.
        Raises UpstreamError, which holds neither secret nor token.
        """
        token = self._token
        if token is None or token.usable_until <= trio.current_time():
            token = await self._flights.run(("token", self._upstream), self._ask)
        return "Authorization", f"Bearer {token.value}"

    def refused(self, header: Header) -> bool:
        """Forget the token, unless another has taken its place already: either way the next header is another one."""
        if self._token is not None and header[1] == f"Bearer {self._token.value}":
            self._token = None
        return True

    async def _ask(self) -> Token:
        asked_at = trio.current_time()
        try:
            answer = await self._client.send(self._request(), idempotent=True)
        except UpstreamUnavailable as error:
            raise UpstreamUnavailable(self._upstream, f"no token: {error.message}") from None
        except UpstreamInvalid as error:
            raise UpstreamInvalid(self._upstream, f"no token: {error.message}") from None
        except UpstreamError as error:  # also 404: it is not the caller's document that is missing
            raise UpstreamRejected(self._upstream, f"no token: {error.message}") from None
        self._token = self._parsed(answer.body, asked_at)
        return self._token

    def _request(self) -> Outgoing:
        section = self._section
        form = {"grant_type": "client_credentials", "scope": section.scope, "audience": section.audience}
        headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json")]
        if section.method == "basic":  # encoded as in a form first (RFC 6749, section 2.3.1)
            headers.append(basic(quote_plus(section.client_id), quote_plus(section.client_secret)))
        else:
            form |= {"client_id": section.client_id, "client_secret": section.client_secret}
        body = urlencode({name: value for name, value in form.items() if value}).encode()
        return Outgoing("POST", httpx2.URL(section.token_url), headers, body)

    def _parsed(self, body: bytes, asked_at: float) -> Token:
        """The token in an answer (RFC 6749, section 5.1); without `expires_in` it is good until it is refused."""
        try:
            answer = orjson.loads(body)
        except orjson.JSONDecodeError:
            answer = None
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not _BEARER.fullmatch(token):
            raise self._useless("has no access_token")
        if str(answer.get("token_type", "")).lower() != "bearer":
            raise self._useless("is not about a token of the type bearer")
        seconds = answer.get("expires_in")
        if isinstance(seconds, str) and seconds.isascii() and seconds.isdigit():  # as some servers write it
            seconds = int(seconds[:12])
        if not isinstance(seconds, int | float) or isinstance(seconds, bool):
            return Token(token, float("inf"))
        return Token(token, asked_at + seconds - min(self._section.slack, seconds / 2))

    def _useless(self, why: str) -> UpstreamInvalid:
        return UpstreamInvalid(
            self._upstream, f"no token: the answer of upstreams.{self._upstream}.auth.token_url {why}"
        )


def authentication(upstream: str, section: Auth, client: Client, flights: SingleFlight[Token]) -> Authentication:
    """How `section` says who asks; tokens are asked for through `client`, in the nursery of `flights`."""
    match section:
        case BearerAuth():
            return Fixed("Authorization", f"Bearer {section.token}")
        case BasicAuth():
            return Fixed(*basic(section.username, section.password))
        case HeaderAuth():
            return Fixed(section.name, section.value)
        case OAuthAuth():
            return ClientCredentials(upstream, section, client, flights)
        case _:
            assert_never(section)


def basic(name: str, password: str) -> Header:
    """The header of RFC 7617, in UTF-8."""
    return "Authorization", f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"
