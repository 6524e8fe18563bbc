"""`type = "http"`: an HTTP API or file server."""

from typing import Literal

from gateway.profile.fetch import ReadAs
from gateway.profile.upstreams.authentication import Auth
from gateway.profile.upstreams.batch import Batch
from gateway.profile.upstreams.policies import Politeness
from gateway.profile.upstreams.releases import Versions, Watch
from gateway.profile.upstreams.urls import BaseUrl


class HttpUpstream(Politeness):
    """An HTTP API or file server."""

    type: Literal["http"]
    """Says that this is an HTTP upstream."""
    base_url: BaseUrl
    """What every fetch's path is joined to; `{version}` stands for the resolved release."""
    headers: dict[str, str] = {}
    """Sent with every request."""
    auth: Auth | None = None
    """How the upstream is told who asks; sent to the origin of `base_url` only."""
    read_as: ReadAs | None = None
    """What answers are, where their Content-Type is missing or wrong."""
    batch: Batch | None = None
    """How requests with a `batch_key` go as one."""
    watch: Watch | None = None
    """Looks for new releases; needs `versions`."""
    versions: Versions | None = None
    """Where the list of releases is; needed by every fetch with a `version`."""
