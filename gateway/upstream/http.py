"""`type = "http"`: documents of an HTTP API or file server."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import jmespath
import orjson

from gateway.errors import UpstreamInvalid, UpstreamNotFound
from gateway.profile.upstreams.http import HttpUpstream
from gateway.profile.upstreams.releases import Versions
from gateway.upstream.address import BaseAddress
from gateway.upstream.client import Client, open_client
from gateway.upstream.content import checked_body, parse_content_type
from gateway.upstream.egress import Resolver, resolve
from gateway.upstream.model import JSON, Fetched, Validators, Wanted
from gateway.upstream.versions import SemanticReleases


class HttpDocuments:
    """The documents under one address. Made by `open_http`; safe for concurrent use."""

    def __init__(self, name: str, section: HttpUpstream, client: Client) -> None:
        self.name = name
        self.identity = _identity(section)
        self._section = section
        self._client = client
        self._base = BaseAddress(name, section.base_url)
        self._listing = _Listing(name, section.versions) if section.versions is not None else None

    async def fetch(self, wanted: Wanted, validators: Validators | None = None) -> Fetched:
        """The document at base_url, `wanted.path` and its query; text is UTF-8, and JSON is JSON.

        The profile's headers are sent with it, and `wanted`'s take their place where they have the same name; to a
        `versions.url` of another host neither is sent, since they may hold a credential.
        Raises UpstreamError. Cancelling closes the connection.
        """
        own = tuple(self._section.headers.items())
        if wanted.listing:
            url = self._releases_from().address.join("")
            headers = own if str(self._releases_from().address) == str(self._base) else ()
        else:
            url = self._base.join(wanted.path, wanted.version, wanted.query)
            headers = (*own, *wanted.headers)
        answer = await self._client.get(url, headers=headers, validators=validators)
        if answer.not_modified:
            kept = validators or answer.validators
            return Fetched(b"", validators=kept, not_modified=True, directives=answer.directives)
        media_type, charset = parse_content_type(answer.content_type)
        if wanted.listing:
            # Before it is cached: a listing that can't be used must not stay for as long as one that can.
            body = checked_body(self.name, "the list of releases", answer.body, JSON, charset)
            self.releases(body)
            return Fetched(body, JSON, answer.validators, directives=answer.directives)
        body = checked_body(self.name, "the answer", answer.body, media_type, charset)
        return Fetched(body, media_type, answer.validators, directives=answer.directives)

    def releases(self, listing: bytes) -> SemanticReleases:
        """The releases that `versions.select` and `versions.tags` find in `listing`; raises UpstreamInvalid."""
        return self._releases_from().parse(listing)

    def _releases_from(self) -> _Listing:
        if self._listing is None:
            key = f"upstreams.{self.name}.versions"
            raise UpstreamNotFound(self.name, f"the profile does not say where its releases are listed ({key})")
        return self._listing


class _Listing:
    """`[upstreams.NAME.versions]`."""

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


@asynccontextmanager
async def open_http(name: str, section: HttpUpstream, *, resolve: Resolver = resolve) -> AsyncIterator[HttpDocuments]:
    """The upstream called `name`; leaving the block closes its connections. Nothing is sent before the first fetch."""
    async with open_client(name, section, resolve=resolve) as client:
        yield HttpDocuments(name, section, client)


def _identity(section: HttpUpstream) -> str:
    """A short hash of what decides which document a `Wanted` means.

    Of the static headers only those that choose a representation count by value: the others may be credentials, which
    change without changing a document.
    """
    headers = sorted((name.lower(), value) for name, value in section.headers.items())
    chosen = [(name, value if name.startswith("accept") else "") for name, value in headers]
    versions = section.versions
    listing = [versions.url, versions.select, versions.tags] if versions is not None else []
    return hashlib.blake2b(orjson.dumps([section.type, section.base_url, chosen, listing]), digest_size=8).hexdigest()
