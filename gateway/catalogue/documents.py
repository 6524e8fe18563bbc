"""Documents: what upstreams answered, through the same pipeline as everything else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from gateway.errors import UpstreamInvalid, UpstreamNotFound, UpstreamRejected
from gateway.pipeline.freshness import new_entry
from gateway.pipeline.model import Entry, Loaded, Policy, Request
from gateway.pipeline.pipeline import Pipeline
from gateway.upstream.content import is_json
from gateway.upstream.model import JSON, Fetched, Upstream, Validators, Wanted

_LISTING = Wanted("", listing=True)


@dataclass(frozen=True, slots=True)
class Release:
    """A release that was asked for by its name, a range or a dist-tag."""

    name: str
    known_at: float | None
    """When the list that it was found in was known to be true; None for one asked for by its name, which stays true."""


class Documents:
    """Gets documents of upstreams by name, from the nearest tier that has them.

    Those that are not `cached` are asked for at every call, since asking may change something; lists of releases are
    kept all the same.
    """

    def __init__(self, pipeline: Pipeline, upstreams: Mapping[str, Upstream], *, cached: bool = True) -> None:
        self._pipeline = pipeline
        self._upstreams = upstreams
        self._cached = cached

    async def get(self, upstream: str, wanted: Wanted, policy: Policy, *, revalidate: bool) -> Entry:
        """The document; with `revalidate` a stale one will not do. Raises UpstreamError."""
        source = self._upstreams[upstream]
        load = partial(self._load, source, wanted, policy)
        if not (self._cached or wanted.listing):
            return (await load(None)).entry
        answer = await self._pipeline.get(Request(_key(source, wanted), policy, load), revalidate=revalidate)
        return answer.entry

    async def resolve(self, upstream: str, asked: str, policy: Policy, *, revalidate: bool) -> Release:
        """The exact release of an upstream for a release, a range or a dist-tag.

        Raises UnknownVersion, and UpstreamRejected where there is no list of releases.
        """
        try:
            listing = await self.get(upstream, _LISTING, policy, revalidate=revalidate)
        except UpstreamNotFound as error:  # it is not the caller's document that is missing
            reason = str(error).removeprefix(f"{upstream}: ")
            raise UpstreamRejected(upstream, f"its releases can't be listed: {reason}") from error
        name = self._upstreams[upstream].releases(listing.payload).resolve(asked)
        return Release(name, None if name == asked else listing.stored_at)

    async def _load(self, source: Upstream, wanted: Wanted, policy: Policy, stale: Entry | None) -> Loaded:
        validators = Validators(stale.etag, stale.last_modified) if stale is not None else None
        fetched = await source.fetch(wanted, validators)
        if fetched.not_modified:
            if stale is None:
                raise UpstreamInvalid(source.name, "it answered 304 (not modified) to a request without a condition")
            fetched = Fetched(stale.payload, stale.media_type, validators or Validators())
        # The age counts from when the answer arrived; RFC 9111, section 4.2.3, adds what caches on the way say.
        entry = partial(
            new_entry,
            policy=policy,
            stored_at=self._pipeline.clock(),
            tags=(f"upstream:{source.name}",),
            immutable=fetched.immutable,
        )
        companions = {
            _key(source, other): entry(body, media_type=JSON if other.path.endswith(".json") else "text/plain")
            for other, body in fetched.companions.items()
        }
        document = entry(
            fetched.body,
            media_type=fetched.media_type,
            etag=fetched.validators.etag,
            last_modified=fetched.validators.last_modified,
        )
        return Loaded(document, companions=companions)


def parsed(name: str, document: Entry) -> Any:
    """The document as data: JSON parsed, any other text as one string. Raises UpstreamInvalid."""
    try:
        if is_json(document.media_type):
            return orjson.loads(document.payload)
        return document.payload.decode()
    except ValueError as error:
        raise UpstreamInvalid(name, f"a document of type {document.media_type} does not parse: {error}") from error


def _key(source: Upstream, wanted: Wanted) -> str:
    return f"document:{source.name}@{source.identity}:{wanted}"
