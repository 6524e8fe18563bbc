"""Documents: what upstreams answered, through the same pipeline as everything else."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import orjson

from gateway.errors import UpstreamInvalid, UpstreamNotFound, UpstreamRejected
from gateway.pipeline.freshness import derived_entry, lifetime, new_entry, not_found_entry
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Entry, Loaded, Outcome, Policy, Request, UpstreamFreshness
from gateway.pipeline.pipeline import Pipeline
from gateway.upstream.content import is_json, media_type_of
from gateway.upstream.model import Fetched, Releases, Upstream, Validators, Wanted

DOCUMENTS = Selector("glob", "document:*")
"""All documents of all upstreams."""

LISTING = Wanted("", listing=True)
"""The document that lists an upstream's releases."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release that was asked for by its name, a range or a dist-tag."""

    name: str
    listing: Entry | None
    """The list that it was found in; None for a release asked for by its name, which stays what it is."""


@dataclass(frozen=True, slots=True)
class Reading:
    """On whose behalf documents are read, and how fresh they have to be."""

    policy: Policy
    revalidate: bool = False
    """A stale document will not do: it is refreshed first."""
    cached: bool = True
    """False: every document is asked for anew, since asking may change something; lists of releases are not."""
    caller: str = ""
    """Who asks; with a private policy each caller has documents of their own."""

    @property
    def owner(self) -> str:
        """What keeps keys apart: those of a private caller, and those of strategies that heed the upstream's word.

        An entry that was stored without regard to that word knows nothing of a `no-store` or a short `max-age`.
        """
        heeding = "" if self.policy.upstream_freshness is UpstreamFreshness.IGNORE else "!"
        return f"{heeding}#{self.caller}" if self.policy.private else heeding

    @property
    def shareable(self) -> bool:
        """Whether other instances mean the same by such a key: a private caller without a name is another one there."""
        return not self.policy.private or self.caller != ""

    def not_before(self, time: float) -> Reading:
        """The same, of documents that were known to be true after `time`."""
        return replace(self, policy=replace(self.policy, not_before=time))


class Documents:
    """Gets documents of upstreams by name, from the nearest tier that has them."""

    def __init__(self, pipeline: Pipeline, upstreams: Mapping[str, Upstream]) -> None:
        self._pipeline = pipeline
        self.upstreams = upstreams

    async def get(self, upstream: str, wanted: Wanted, reading: Reading) -> Entry:
        """The document; raises UpstreamError, also when it is remembered that there is no such document."""
        entry = await self.find(upstream, wanted, reading)
        if entry.outcome is Outcome.NOT_FOUND:
            raise UpstreamNotFound(upstream, entry.payload.decode())
        return entry

    async def find(self, upstream: str, wanted: Wanted, reading: Reading) -> Entry:
        """The document, or the upstream's word that there is none, whose outcome says so; raises UpstreamError."""
        source = self.upstreams[upstream]
        load = partial(self._load, source, wanted, reading)
        try:
            if not (reading.cached or wanted.listing):
                return (await load(None)).entry
            asks = bool(source.policies)  # what is on this machine, another one may have otherwise
            request = Request(_key(source, wanted, reading), reading.policy, load, asks and reading.shareable, asks)
            return (await self._pipeline.get(request, revalidate=reading.revalidate)).entry
        except UpstreamNotFound as error:  # a word of which the strategy keeps nothing holds for now
            now = self._pipeline.clock()
            return Entry(error.message.encode("utf-8", "replace"), now, now, outcome=Outcome.NOT_FOUND)

    async def releases(self, upstream: str, reading: Reading) -> tuple[Entry, Releases]:
        """The list of an upstream's releases, as it was kept and as it was understood.

        Raises UpstreamError, UpstreamRejected where there is no such list.
        """
        try:
            listing = await self.get(upstream, LISTING, reading)
        except UpstreamNotFound as error:  # it is not the caller's document that is missing
            raise UpstreamRejected(upstream, f"its releases can't be listed: {error.message}") from error
        return listing, self.upstreams[upstream].releases(listing.payload)

    async def resolve(self, upstream: str, asked: str, reading: Reading) -> Release:
        """The exact release of an upstream for a release, a range or a dist-tag.

        Raises UnknownVersion, and UpstreamRejected where there is no list of releases.
        """
        listing, releases = await self.releases(upstream, reading)
        name = releases.resolve(asked)
        return Release(name, None if name == asked else listing)

    def reader(self, policy: Policy) -> Callable[[str, Wanted, bool], Awaitable[Entry]]:
        """What gets documents under `policy`, for an upstream that is made of others.

        It takes an upstream's name, the document, and whether a stale one will not do.
        """

        async def read(upstream: str, wanted: Wanted, revalidate: bool) -> Entry:
            return await self.get(upstream, wanted, Reading(policy, revalidate=revalidate))

        return read

    async def _load(self, source: Upstream, wanted: Wanted, reading: Reading, stale: Entry | None) -> Loaded:
        policy, now = reading.policy, self._pipeline.clock
        tags: tuple[str, ...] = (f"upstream:{source.name}",)
        if wanted.listing:  # of a new release each list has to know, also the one of a private caller
            tags = (*tags, f"floating:{source.name}")
        if stale is not None and stale.outcome is not Outcome.OK:
            stale = None
        validators = Validators(stale.etag, stale.last_modified) if stale is not None else None
        try:
            fetched = await self._ask(source, wanted, validators)
        except UpstreamNotFound as error:
            absent = not_found_entry(error.message, policy, now(), tags=tags)
            if absent is None:
                raise
            return Loaded(absent)
        if fetched.not_modified:
            if stale is None:
                raise UpstreamInvalid(source.name, "it answered 304 (not modified) to a request without a condition")
            fetched = replace(fetched, body=stale.payload, media_type=stale.media_type)
        # The age counts from when the answer arrived; what caches on the way say of theirs is in the directives.
        entry = partial(
            new_entry,
            policy=policy,
            stored_at=now(),
            directives=fetched.directives,
            draw=random.random(),  # noqa: S311  # jitter is no secret
            tags=tags,
            immutable=fetched.immutable,
        )
        companions = {
            _key(source, other, reading): entry(body, media_type=media_type_of(other.path))
            for other, body in fetched.companions.items()
        }
        document = entry(
            fetched.body,
            media_type=fetched.media_type,
            etag=fetched.validators.etag,
            last_modified=fetched.validators.last_modified,
        )
        if fetched.sources:
            document = _derived(document, policy, fetched.sources, now())
        keep = fetched.keep and lifetime(policy, fetched.directives).keep
        return Loaded(document, keep=keep, companions=companions)

    async def _ask(self, source: Upstream, wanted: Wanted, validators: Validators | None) -> Fetched:
        with self._pipeline.telemetry.asking(source.name) as asked:
            fetched = await source.fetch(wanted, validators)
            asked.outcome = "unchanged" if fetched.not_modified else "answered"
        return fetched


def parsed(name: str, document: Entry) -> Any:
    """The document as data: JSON parsed, any other text as one string. Raises UpstreamInvalid."""
    try:
        if is_json(document.media_type):
            return orjson.loads(document.payload)
        return document.payload.decode()
    except ValueError as error:
        raise UpstreamInvalid(name, f"a document of type {document.media_type} does not parse: {error}") from error


def _derived(document: Entry, policy: Policy, sources: Sequence[Entry], now: float) -> Entry:
    """The document as one that is made of others: with their tags, and no fresher than those that can change."""
    changing = [source for source in sources if not source.immutable]
    tags = {*document.tags, *(tag for source in sources for tag in source.tags)}
    entry = derived_entry(document.payload, policy, changing, now, tags=tuple(sorted(tags)))
    return entry.but(media_type=document.media_type)


def _key(source: Upstream, wanted: Wanted, reading: Reading) -> str:
    return f"document:{source.name}@{source.identity}{reading.owner}:{wanted}"
