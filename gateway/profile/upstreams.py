"""`[upstreams.NAME]` and `[upstream_defaults]`: where documents come from, and how politely they are asked for."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from gateway.profile.section import Expression, Section, Template, expected, matching
from gateway.profile.templates import fields
from gateway.profile.units import Duration, Size


def _plain_http_url(value: str) -> str:
    """Refuse whatever is not an http(s) address without user part, query or fragment."""
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not host or parts.username is not None:
        raise expected('an address such as "https://example.org/api", without a user name')
    if parts.query or parts.fragment:
        raise expected("an address without ? and #; use query = { … } of the fetch")
    return value.rstrip("/")


def _template_in_path_only(value: str) -> str:
    if fields(urlsplit(value).netloc.replace("{{", "").replace("}}", "")):
        raise expected("a template in the path only, never in scheme, host or port")
    return value


BaseUrl = Annotated[Template, AfterValidator(_plain_http_url), AfterValidator(_template_in_path_only)]
FixedUrl = Annotated[str, AfterValidator(_plain_http_url)]


class Pool(Section):
    """`pool`: the HTTP connections to one upstream."""

    max_connections: Annotated[int, Field(ge=1)] = 50
    """Most connections at once."""
    max_keepalive: Annotated[int, Field(ge=0)] = 10
    """Most idle connections kept for reuse."""
    keepalive: Duration = 30.0
    """How long an idle connection is kept."""
    idle_timeout: Annotated[Duration, Field(gt=0)] = 60.0
    """Longest silence in the middle of an answer."""


class RateLimit(Section):
    """`rate_limit`: a token bucket."""

    max: Annotated[int, Field(ge=1)] = 1000
    """Most requests in a window."""
    window: Annotated[Duration, Field(gt=0)] = 60.0
    """How long the window is."""


class Batch(Section):
    """`batch`: requests that wait for each other, to go as one."""

    window: Duration = 0.05
    """How long the first request waits for others."""
    max: Annotated[int, Field(ge=1)] = 50
    """Most requests in one batch."""


class Politeness(Section):
    """`[upstream_defaults]`: what every upstream starts from; each can say otherwise in its own table."""

    timeout: Annotated[Duration, Field(gt=0)] = 30.0
    """Longest time for one document, all tries together."""
    retries: Annotated[int, Field(ge=0, le=20)] = 3
    """How often a failed request is tried again."""
    retry_delay: Duration = 1.0
    """Upper bound of the first pause between tries; it doubles with every try (full jitter)."""
    max_concurrent: Annotated[int, Field(ge=1)] = 100
    """Most requests under way at once; the rest wait."""
    rate_limit: RateLimit = RateLimit()
    """Most requests in a time; the rest wait."""
    max_response_size: Annotated[Size, Field(gt=0)] = 16_000_000
    """Largest answer, after decompression."""
    private_addresses: bool = False
    """Whether the host's name may resolve to a private, loopback or link-local address."""
    pool: Pool = Pool()
    """The HTTP connections."""
    batch: Batch = Batch()
    """Requests that go as one."""


class Versions(Section):
    """`[upstreams.NAME.versions]`: which releases there are, so that `latest` and ranges can be resolved."""

    url: FixedUrl
    """The address of a JSON list of releases."""
    select: Expression
    """JMESPath from that answer to an array of release names."""
    tags: Expression | None = None
    """JMESPath from that answer to an object of dist-tags; without a `latest`, the newest stable release is it."""


class Watch(Section):
    """`watch`: whether the upstream has a new release is looked at now and then."""

    interval: Annotated[Duration, Field(gt=0)]
    """How often. When `latest` has changed, answers about releases that were not asked for by name are purged, `[warm]`
    runs again, and clients are told."""


class HttpUpstream(Politeness):
    """An HTTP API or file server."""

    type: Literal["http"]
    """Says that this is an HTTP upstream."""
    base_url: BaseUrl
    """What every fetch's path is joined to; `{version}` stands for the resolved release."""
    headers: dict[str, str] = {}
    """Sent with every request."""
    watch: Watch | None = None
    """Looks for new releases; needs `versions`."""
    versions: Versions | None = None
    """Where the list of releases is; needed by every fetch with a `version`."""


class NpmUpstream(Politeness):
    """The files of one package in the npm registry."""

    type: Literal["npm"]
    """Says that this is a package of npm."""
    package: Annotated[
        str,
        *matching("(@[a-z0-9~-][a-z0-9._~-]*/)?[a-z0-9~-][a-z0-9._~-]*", 'a package such as "vue" or "@vue/shared"'),
    ]
    """The package's name, such as `@vue/shared`."""
    watch: Watch | None = None
    """Looks for new releases."""
    registry: FixedUrl | None = None
    """The registry's address; without it npm's own configuration says, and where there is none, `cdn`."""
    cdn: FixedUrl = "https://cdn.jsdelivr.net/npm"
    """Serves single files where there is no registry: `{cdn}/{package}@{version}/{path}`."""
    cdn_listing: FixedUrl = "https://data.jsdelivr.com/v1/packages/npm"
    """Lists the releases where there is no registry."""
    max_package_size: Annotated[Size, Field(gt=0)] = 64_000_000
    """Largest tarball, packed."""
    max_unpacked_size: Annotated[Size, Field(gt=0)] = 512_000_000
    """Largest tarball, unpacked; reading stops there."""


Upstream = Annotated[HttpUpstream | NpmUpstream, Field(discriminator="type")]
"""Any upstream, told apart by its `type`."""
