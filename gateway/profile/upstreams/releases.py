"""Which releases an upstream has, and whether it is looked for new ones."""

from typing import Annotated

from pydantic import Field

from gateway.profile.section import Expression, Section
from gateway.profile.units import Duration
from gateway.profile.upstreams.urls import FixedUrl


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
