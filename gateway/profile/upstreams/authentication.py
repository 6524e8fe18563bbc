"""`auth`: how an upstream is told who asks. What is secret comes from `${credential:NAME}` and nothing else."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.profile.section import Section, matching
from gateway.profile.units import Duration
from gateway.profile.upstreams.urls import FixedUrl

Secret = Annotated[str, Field(min_length=1, repr=False)]
"""What nobody may read: it is in no representation, and `SECRETS` holds its key."""

SECRETS = frozenset({"token", "value", "password", "client_secret"})
"""The keys of `auth` that have to be filled in by `${credential:NAME}`."""

_TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105  # RFC 9110, section 5.6.2: the syntax of a name


class BearerAuth(Section):
    """A token that does not change (RFC 6750)."""

    type: Literal["bearer"]
    """Says that `Authorization: Bearer TOKEN` is sent."""
    token: Secret
    """The token: `"${credential:NAME}"`."""


class BasicAuth(Section):
    """A name and a password (RFC 7617)."""

    type: Literal["basic"]
    """Says that `Authorization: Basic …` is sent."""
    username: Annotated[str, *matching("[^:\x00-\x1f\x7f]*", "a name without colon and control characters")]
    """The name."""
    password: Secret
    """The password: `"${credential:NAME}"`."""


class HeaderAuth(Section):
    """A key in a header of its own."""

    type: Literal["header"]
    """Says that a header is sent."""
    name: Annotated[str, *matching(_TOKEN, 'the name of a header, such as "X-Api-Key"')]
    """The header's name."""
    value: Secret
    """Its value: `"${credential:NAME}"`, with text around it where that is needed."""


class OAuthAuth(Section):
    """Tokens that the gateway gets for itself: OAuth 2.0 client credentials (RFC 6749, section 4.4)."""

    type: Literal["oauth"]
    """Says that `Authorization: Bearer TOKEN` is sent, with a token of `token_url`."""
    token_url: FixedUrl
    """Where tokens are asked for."""
    client_id: Annotated[str, Field(min_length=1)]
    """The client's name."""
    client_secret: Secret
    """Its secret: `"${credential:NAME}"`."""
    scope: str = ""
    """The scopes to ask for, with spaces between them."""
    audience: str = ""
    """Whom the token is for, where the server wants to know."""
    method: Literal["basic", "post"] = "basic"
    """How name and secret are sent: in the header (client_secret_basic) or in the form (client_secret_post)."""
    slack: Duration = 30.0
    """So long before it expires a token is not used any more; at most half of its life."""


Auth = Annotated[BearerAuth | BasicAuth | HeaderAuth | OAuthAuth, Field(discriminator="type")]
"""Any way to authenticate, told apart by its `type`."""
