"""What a registry or a CDN says about a package: its releases, and where each one's tarball is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.errors import UpstreamInvalid
from gateway.packed import packed_json
from gateway.upstream.versions import SemanticReleases

ABBREVIATED = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8"
"""Accept for a packument without readmes (npm/registry, docs/responses/package-metadata.md)."""


@dataclass(frozen=True, slots=True)
class Dist:
    """A release's tarball, as the registry describes it: its address, and what it hashes to."""

    tarball: str
    integrity: str = ""
    """Subresource Integrity: one or more `algorithm-base64`, separated by spaces."""
    shasum: str = ""
    """SHA-1 in hex, of releases from before npm 5."""


def parse_packument(upstream: str, body: bytes) -> tuple[bytes, Mapping[str, Dist]]:
    """The listing of a packument, and the tarball of each release. Raises UpstreamInvalid.

    A listing is this package's own form, whoever it came from: `{"tags": {tag: release}, "versions": [release, …]}`. It
    is a hundredth of the packument, and is read at every call that names a version.
    """
    document = _object(upstream, body)
    versions = document.get("versions")
    if not isinstance(versions, dict):
        raise UpstreamInvalid(upstream, 'the registry\'s answer has no "versions"')
    dists = {name: dist for name, release in versions.items() if (dist := _dist(release)) is not None}
    return _listing(document.get("dist-tags"), list(dists)), dists


def parse_cdn_listing(upstream: str, body: bytes) -> bytes:
    """The listing in a CDN's answer, whose versions are strings or `{"version": release}`. Raises UpstreamInvalid."""
    document = _object(upstream, body)
    versions = document.get("versions")
    if not isinstance(versions, list):
        raise UpstreamInvalid(upstream, 'the CDN\'s answer has no list of "versions"')
    names = [each.get("version") if isinstance(each, dict) else each for each in versions]
    return _listing(document.get("tags"), [name for name in names if isinstance(name, str)])


def parse_listing(upstream: str, listing: bytes) -> SemanticReleases:
    """The releases in a listing that one of the other two made. Raises UpstreamInvalid."""
    document = _object(upstream, listing)
    match document:
        case {"tags": dict(tags), "versions": list(versions)}:
            return SemanticReleases(upstream, versions, tags)
        case _:
            raise UpstreamInvalid(upstream, "the list of releases can't be read")


def _object(upstream: str, body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UpstreamInvalid(upstream, f"the list of releases said it was JSON but is not: {error}") from None
    if not isinstance(document, dict):
        raise UpstreamInvalid(upstream, "the list of releases is not a JSON object")
    return document


def _dist(release: object) -> Dist | None:
    match release:
        case {"dist": {"tarball": str(tarball), **more}}:
            integrity, shasum = more.get("integrity"), more.get("shasum")
            return Dist(
                tarball,
                integrity if isinstance(integrity, str) else "",
                shasum if isinstance(shasum, str) else "",
            )
        case _:
            return None


def _listing(tags: object, names: list[str]) -> bytes:
    named = tags.items() if isinstance(tags, dict) else ()
    return packed_json({"tags": {tag: name for tag, name in named if isinstance(name, str)}, "versions": names})
