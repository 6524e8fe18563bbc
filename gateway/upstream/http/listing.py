"""`[upstreams.NAME.versions]`: the releases of an HTTP upstream."""

from __future__ import annotations

import jmespath
import orjson

from gateway.errors import UpstreamInvalid
from gateway.profile.upstreams.releases import Versions
from gateway.upstream.address import BaseAddress
from gateway.upstream.versions import SemanticReleases


class Listing:
    """Where the list is, and what is in it."""

    def __init__(self, upstream: str, section: Versions) -> None:
        self.address = BaseAddress.plain(upstream, section.url)
        self._upstream = upstream
        self._select = jmespath.compile(section.select)
        self._tags = jmespath.compile(section.tags) if section.tags is not None else None
        self._last: tuple[bytes, SemanticReleases] | None = None

    def parse(self, listing: bytes) -> SemanticReleases:
        """The releases in `listing`; the last one parsed is remembered, since every call with a version asks."""
        if self._last is None or self._last[0] != listing:
            self._last = listing, self._parsed(listing)
        return self._last[1]

    def _parsed(self, listing: bytes) -> SemanticReleases:
        try:
            document = orjson.loads(listing)
            names = self._select.search(document)
            tags = self._tags.search(document) if self._tags is not None else None
        except (orjson.JSONDecodeError, jmespath.exceptions.JMESPathError) as error:
            raise self._invalid(f"can't be read: {str(error).splitlines()[0]}") from None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise self._invalid(f"has no array of names where upstreams.{self._upstream}.versions.select looks for it")
        if tags is not None and not isinstance(tags, dict):
            raise self._invalid(f"has no object of tags where upstreams.{self._upstream}.versions.tags looks for it")
        named = {tag: name for tag, name in (tags or {}).items() if isinstance(name, str)}
        return SemanticReleases(self._upstream, names, named)

    def _invalid(self, why: str) -> UpstreamInvalid:
        return UpstreamInvalid(self._upstream, f"the list of releases {why}")
