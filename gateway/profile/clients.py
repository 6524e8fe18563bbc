"""`[clients.NAME]`: who may ask, where `server.authentication` wants to know."""

from typing import Annotated

from pydantic import Field

from gateway.profile.section import Section, matching
from gateway.profile.upstreams.policies import RateLimit

_TOKEN = "[A-Za-z0-9._~+/-]{16,4096}=*"  # noqa: S105  # RFC 6750, section 2.1: the syntax of a token

Token = Annotated[
    str,
    *matching(_TOKEN, 'a token of 16 to 4096 letters, digits, "-", ".", "_", "~", "+" and "/"'),
    Field(repr=False),
]
"""What a client says to be known; in no representation, like all that is secret."""


class Client(Section):
    """`[clients.NAME]`: one that may ask."""

    token: Token
    """Its bearer token (RFC 6750): `"${credential:NAME}"`."""
    rate_limit: RateLimit | None = None
    """How often it may ask, in place of `server.rate_limit`."""
