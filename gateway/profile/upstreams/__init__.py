"""`[upstreams.NAME]` and `[upstream_defaults]`: where documents come from, one module a kind."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.profile.section import Section
from gateway.profile.upstreams.files import FilesUpstream
from gateway.profile.upstreams.http import HttpUpstream
from gateway.profile.upstreams.mcp import McpUpstream
from gateway.profile.upstreams.npm import NpmUpstream
from gateway.profile.upstreams.search import SearchUpstream

Upstream = Annotated[
    HttpUpstream | McpUpstream | NpmUpstream | FilesUpstream | SearchUpstream, Field(discriminator="type")
]
"""Any upstream, told apart by its `type`."""

KINDS: dict[str, type[Section]] = {
    "http": HttpUpstream,
    "mcp": McpUpstream,
    "npm": NpmUpstream,
    "files": FilesUpstream,
    "search": SearchUpstream,
}
"""The section of every `type`."""
