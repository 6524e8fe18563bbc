"""The documents of one HTTP upstream: how each is asked for, and what becomes of its answer."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import trio

from gateway.errors import UpstreamNotFound, UpstreamRejected
from gateway.pipeline.single_flight import SingleFlight
from gateway.profile.upstreams.authentication import SECRETS, OAuthAuth
from gateway.profile.upstreams.http import HttpUpstream
from gateway.upstream.client import Answer, Client, open_client
from gateway.upstream.content import checked_body, parse_content_type
from gateway.upstream.egress import Resolver, resolve
from gateway.upstream.http.authentication import authentication
from gateway.upstream.http.batch import Batcher
from gateway.upstream.http.batch_parts import BatchParts
from gateway.upstream.http.listing import Listing
from gateway.upstream.http.pagination import fetch_pages
from gateway.upstream.http.reading import Reader
from gateway.upstream.http.sending import Sender
from gateway.upstream.model import JSON, Fetched, Validators, Wanted
from gateway.upstream.policies.deadline import Doing, deadline
from gateway.upstream.versions import SemanticReleases

_NOTHING = b"{}"
"""The document of an answer without content, to a request that changed something."""


class HttpDocuments:
    """The documents under one address. Made by `open_http`; safe for concurrent use."""

    def __init__(self, name: str, section: HttpUpstream, client: Client, tasks: trio.Nursery) -> None:
        self.name = name
        self.identity = identity_of(section)
        self.policies = (client.policies,)
        self._section = section
        auth = authentication(name, section.auth, client, SingleFlight(tasks)) if section.auth is not None else None
        self._sender = Sender(name, section, client, auth)
        self._reader = Reader(name, client.bound, section.read_as)
        self._listing = Listing(name, section.versions) if section.versions is not None else None
        self._batcher: Batcher | None = None
        if section.batch is not None:
            parts = BatchParts(section.batch, self._sender, self._reader)
            self._batcher = Batcher(name, section.batch, parts.ask, tasks, client.policies.batch_sent)

    async def fetch(self, wanted: Wanted, validators: Validators | None = None) -> Fetched:
        """What `wanted` names: one answer, all pages of it, or a part of one that was asked for together with others.

        Text is UTF-8, JSON is JSON, XML has become JSON. Only the answer to a GET is asked for with `validators`, and
        only one that is a document by itself has some.
        Raises UpstreamError. Cancelling closes the connection; a batch goes on for the others.
        """
        if wanted.listing:
            return await self._fetch_listing(validators)
        if wanted.batch_key is not None:
            if self._batcher is None:
                reason = f"it takes no batches (upstreams.{self.name}.batch), so nothing can be one of several"
                raise UpstreamRejected(self.name, reason)
            return await self._batcher.fetch(wanted)
        if wanted.pages is not None:
            return await fetch_pages(self._sender, self._reader, wanted, wanted.pages)
        if wanted.method != "GET":
            validators = None
        answer = await self._send(wanted, validators)
        if answer.not_modified:
            return _not_modified(answer, validators)
        if not answer.body and wanted.method != "GET":
            return Fetched(_NOTHING, JSON, directives=answer.directives)
        body, media_type = await self._reader.read(answer.body, answer.content_type, wanted.read_as, wanted.html)
        kept = answer.validators if wanted.method == "GET" else Validators()
        return Fetched(body, media_type, kept, directives=answer.directives)

    def releases(self, listing: bytes) -> SemanticReleases:
        """The releases that `versions.select` and `versions.tags` find in `listing`; raises UpstreamInvalid."""
        return self._releases_from().parse(listing)

    async def _send(self, wanted: Wanted, validators: Validators | None) -> Answer:
        url = self._sender.url(wanted)
        if not isinstance(self._section.auth, OAuthAuth):
            return await self._sender.send(wanted, url, validators=validators)
        doing = Doing()
        doing.now = "waiting for a token or the upstream"
        with deadline(self.name, self._section.timeout, doing):  # of both requests together
            return await self._sender.send(wanted, url, validators=validators)

    async def _fetch_listing(self, validators: Validators | None) -> Fetched:
        address = self._releases_from().address
        url = address.join("")
        if str(address) == self._sender.origin:
            answer = await self._sender.send(Wanted(""), url, validators=validators)
        else:
            answer = await self._sender.elsewhere(url, validators)
        if answer.not_modified:
            return _not_modified(answer, validators)
        _, charset = parse_content_type(answer.content_type)
        # Before it is cached: a listing that can't be used must not stay for as long as one that can.
        body = checked_body(self.name, "the list of releases", answer.body, JSON, charset)
        self.releases(body)
        return Fetched(body, JSON, answer.validators, directives=answer.directives)

    def _releases_from(self) -> Listing:
        if self._listing is None:
            key = f"upstreams.{self.name}.versions"
            raise UpstreamNotFound(self.name, f"the profile does not say where its releases are listed ({key})")
        return self._listing


@asynccontextmanager
async def open_http(
    name: str, section: HttpUpstream, *, tasks: trio.Nursery, resolve: Resolver = resolve
) -> AsyncIterator[HttpDocuments]:
    """The upstream called `name`; leaving the block closes its connections. Nothing is sent before the first fetch.

    What several callers wait for, batches and tokens, is asked for in `tasks`, which ends before the block does.
    """
    async with open_client(name, section, resolve=resolve) as client:
        yield HttpDocuments(name, section, client, tasks)


def _not_modified(answer: Answer, validators: Validators | None) -> Fetched:
    kept = validators or answer.validators
    return Fetched(b"", validators=kept, not_modified=True, directives=answer.directives)


def identity_of(section: HttpUpstream) -> str:
    """A short hash of what decides which document a `Wanted` means.

    Of the static headers only those that choose a representation count by value: the others may be credentials, which
    change without changing a document. Who asks counts by name.
    """
    headers = sorted((name.lower(), value) for name, value in section.headers.items())
    chosen = [(name, value if name.startswith("accept") else "") for name, value in headers]
    versions = section.versions
    listing = [versions.url, versions.select, versions.tags] if versions is not None else []
    auth = section.auth.model_dump(exclude=set(SECRETS)) if section.auth is not None else {}
    batch = section.batch.model_dump(exclude={"window", "max"}) if section.batch is not None else {}
    parts = [section.type, section.base_url, chosen, listing, auth, batch, section.read_as]
    return hashlib.blake2b(orjson.dumps(parts), digest_size=8).hexdigest()
