"""`[cache.shared]`: what several instances share, in a Valkey or Redis that they all reach."""

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from gateway.profile.section import Section, expected, matching
from gateway.profile.units import Duration, Size


def _engine_url(value: str) -> str:
    """Refuse whatever is not the address of one engine, without a user and without a query."""
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    what = 'an address such as "redis://127.0.0.1:6379/0", "rediss://cache.example.org" or "unix:///run/valkey.sock"'
    if parts.scheme == "unix":
        good = not parts.netloc and len(parts.path) > 1
    else:
        database = parts.path.removeprefix("/")
        good = parts.scheme in ("redis", "rediss") and bool(host) and (not database or database.isdecimal())
    if parts.username is not None or parts.password is not None:
        raise expected("an address without a user name; it belongs into username and password", found="one with")
    if not good or parts.query or parts.fragment:
        raise expected(what)
    return value


EngineUrl = Annotated[str, AfterValidator(_engine_url)]
"""The address of a Valkey or Redis."""


class SharedTier(Section):
    """`[cache.shared]`: a tier between the disk and the upstreams that several instances of one profile share.

    In a Valkey (7.2 or newer) or Redis (6.2 or newer); not in a cluster of them. Needs the extra `shared`.
    """

    enabled: bool = False
    """On: entries, loads, purges and rate limits are shared with every instance of the same `url` and `prefix`."""
    url: EngineUrl = "redis://127.0.0.1:6379/0"
    """Where the engine is: "redis://", with TLS "rediss://", or "unix://" with the path of a socket."""
    username: str | None = None
    """Who the gateway is to the engine, where that is not its default user."""
    password: Annotated[Annotated[str, Field(min_length=1)] | None, Field(repr=False)] = None
    """Its password: `"${credential:NAME}"`."""
    prefix: Annotated[str, *matching("[A-Za-z0-9_.-]{1,64}", '1 to 64 letters, digits, "_", "-" and "."')] = "gateway"
    """What all keys in the engine begin with: instances of another profile need another one."""
    ttl: Annotated[Duration, Field(gt=0)] = 3600.0
    """How long an entry counts as fresh here at most, whatever its strategy says."""
    max_value: Annotated[Size, Field(ge=1000)] = 4_000_000
    """Largest answer that is shared, before compression; each instance keeps a larger one for itself."""
    compression_threshold: Size = 1_000
    """Payloads of at least this size are compressed with zstd, where that saves a tenth."""
    timeout: Annotated[Duration, Field(gt=0)] = 0.5
    """Longest time for one operation, and to connect; an engine that takes longer counts as down."""
    lease: Annotated[Duration, Field(ge=0.1)] = 10.0
    """How long the others wait at most for an instance that asks an upstream for the same document."""
    single_flight: bool = True
    """Off: each instance asks the upstreams for itself."""
    purge_history: Annotated[Duration, Field(ge=60)] = 86400.0
    """How long purges are kept for an instance that is away; one that was away for longer forgets all it holds."""
    trust: Annotated[Duration, Field(ge=1)] | None = None
    """How long memory and disk are served as fresh while the engine can't say what was purged; without it, as long as
    it takes."""
    rate_limits: bool = True
    """Whether `rate_limit` of upstreams, clients and addresses counts for all instances together; off: for each."""

    @model_validator(mode="after")
    def _known_user(self) -> Self:
        if self.username is not None and self.password is None:
            raise expected("a password for the username", found="none")
        return self
