"""`type = "npm"`: the files of a package."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.profile.section import matching
from gateway.profile.units import Size
from gateway.profile.upstreams.policies import Politeness
from gateway.profile.upstreams.releases import Watch
from gateway.profile.upstreams.urls import FixedUrl


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
