"""`type = "search"`: an upstream whose documents are answers to queries, and one document that stands for the index.

That second one goes through the pipeline like any other: its load builds the index, so that single flight, freshness,
stale-while-revalidate, purges and remembered failures are the pipeline's, and its tags are those of all it was made of.
"""

from __future__ import annotations

import hashlib
import itertools
import sqlite3
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import orjson
import structlog
import trio

from gateway.errors import UpstreamRejected, UpstreamUnavailable
from gateway.packed import packed_json
from gateway.pipeline.model import Entry
from gateway.pipeline.single_flight import SingleFlight
from gateway.profile.units import format_duration
from gateway.profile.upstreams.search import SearchUpstream
from gateway.upstream.model import JSON, Fetched, Releases, Upstream, Validators, Wanted
from gateway.upstream.search.index import FORMAT, Answer, Index, build, open_index, prune, require_fts5
from gateway.upstream.search.pages import Page
from gateway.upstream.search.query import Query, parse
from gateway.upstream.search.reading import Collection, Read, Reader
from gateway.upstream.search.sections import Text, text_of
from gateway.upstream.search.snippet import snippet
from gateway.upstream.search.synonyms import Synonyms

log = structlog.get_logger(__name__)

INDEX = "#index"
"""The path of the document that stands for an index; no template can make it."""
_LISTING = Wanted("", listing=True)
_ATTEMPTS = 4
"""How often an index is looked for, which may be replaced, damaged or given up meanwhile."""
_REMEMBERED = 1000
"""Releases of which it is remembered which build was the last: more than have builds under way at once."""
_LIMIT = 10
"""Hits of an answer where the query names no `limit`."""


class Search:
    """Search over the documents of `source`, read by `read`. Made by `open_search`; safe for concurrent use."""

    def __init__(
        self, name: str, section: SearchUpstream, source: Upstream, read: Read, flights: SingleFlight[Fetched]
    ) -> None:
        self.name = name
        self.identity = identity_of(section, source.identity)
        self.policies = ()
        self._section = section
        self._source = source
        self._read = read
        self._synonyms = Synonyms(section.synonyms)
        self._reader = Reader(name, section, read)
        self._flights = flights
        self._indexes: OrderedDict[str, Index] = OrderedDict()
        self._builds = itertools.count(1)
        self._newest: OrderedDict[str, int] = OrderedDict()
        """The number of the build that the last index of a release is of; later ones began later."""
        # One at a time: a query takes a millisecond, and a connection is used by one thread.
        self._searchers = trio.CapacityLimiter(1)
        self._builders = trio.CapacityLimiter(1)
        self._folder = Path(section.path).expanduser() if section.path is not None else None

    async def fetch(self, wanted: Wanted, validators: Validators | None = None) -> Fetched:
        """The answer to the query `q` as JSON: `{"total", "problem", "hits": [{"title", "section", "path", …}]}`.

        `limit` and `offset` choose some of the hits; any other name of the query is a field that hits must have. What
        the query can't mean is a `problem` in the answer, never an error.
        Raises UpstreamError: whatever reading the documents raises, and UpstreamUnavailable when the first index is not
        there after `patience`. Cancelling stops the waiting, not the building.
        """
        if wanted.listing:
            listing = await self._read(self._source.name, _LISTING, False)
            return Fetched(listing.payload, JSON, sources=(listing,), keep=False)
        if wanted.path == INDEX:
            return await self._build(wanted.version)
        if wanted.path or wanted.headers:
            raise UpstreamRejected(self.name, "a search is named by its query, and has neither path nor headers")
        asked = dict(wanted.query)
        text = asked.pop("q", "")
        query = self._synonyms.widened(parse(text, self._section.stop_words), text)
        limit = self._number("limit", asked.pop("limit", ""), _LIMIT)
        offset = self._number("offset", asked.pop("offset", ""), 0)
        filters = {name: value for name, value in asked.items() if value}
        about = await self._index(wanted.version)
        search = partial(self._search, query, filters, min(limit, self._section.max_hits), offset)
        answer = await self._searched(wanted.version, about, search)
        return Fetched(self._written(answer, query), JSON, sources=(about,), keep=False)

    def releases(self, listing: bytes) -> Releases:
        """The releases of the searched upstream."""
        return self._source.releases(listing)

    def close(self) -> None:
        """Close every index."""
        while self._indexes:
            self._indexes.popitem()[1].close()

    async def _index(self, version: str | None) -> Entry:
        """What the pipeline has for the index of a release; building it where it has nothing."""
        with trio.move_on_after(self._section.patience):
            return await self._read(self.name, Wanted(INDEX, version), False)
        raise UpstreamUnavailable(
            self.name,
            f"its index is being built ({self._reader.progress(version)}), which takes longer than "
            f"{format_duration(self._section.patience)} (upstreams.{self.name}.patience); ask again soon",
        )

    async def _build(self, version: str | None) -> Fetched:
        """Read the documents and build their index, unless it is there; raises UpstreamError."""
        number = next(self._builds)
        collection = await self._reader.collect(version)
        fingerprint = hashlib.blake2b(f"{FORMAT}{self.identity}{collection.fingerprint}".encode(), digest_size=16)
        index = await self._have(version, fingerprint.hexdigest(), collection, number)
        about = {"fingerprint": index.fingerprint, "documents": len(collection.pages)}
        return Fetched(packed_json(about), JSON, sources=(collection.summary,) if collection.summary else ())

    async def _have(self, version: str | None, fingerprint: str, collection: Collection, number: int) -> Index:
        known = await self._known(version, fingerprint, number)
        if known is not None:
            return known

        in_use = [index.path for index in self._indexes.values() if index.path is not None]

        def work() -> Index:
            index = build(_texts(collection), fingerprint, self._file(version))
            if index.path is not None:
                prune(index.path.parent, self.name, self._section.max_releases, [*in_use, index.path])
            return index

        try:
            index = await trio.to_thread.run_sync(work, limiter=self._builders)
        except (sqlite3.Error, OSError) as error:
            raise UpstreamUnavailable(self.name, f"its index can't be written: {error}") from error
        log.info("index built", upstream=self.name, version=version, documents=len(collection.pages))
        self._keep(version, index, number)
        return index

    async def _known(self, version: str | None, fingerprint: str, number: int | None = None) -> Index | None:
        """The index of that fingerprint, when it is open or its file is whole; `number` is that of a build."""
        index = self._indexes.get(version or "")
        if index is not None and index.fingerprint == fingerprint:
            if number is not None:
                self._note_done(version, number)
            self._indexes.move_to_end(version or "")
            return index
        file = self._file(version)
        if file is None:
            return None
        found = await trio.to_thread.run_sync(open_index, file, fingerprint, limiter=self._builders)
        if found is not None:
            self._keep(version, found, number)
        return found

    def _keep(self, version: str | None, index: Index, number: int | None) -> None:
        """Serve this index from now on, and give up what is too much.

        It is closed where a build that began later was done before, and one that is of no build where another is there.
        """
        there = self._indexes.get(version or "")
        overtaken = there is not None if number is None else not self._note_done(version, number)
        if overtaken:
            index.close()
            return
        if there is not None:
            there.close()
        self._indexes[version or ""] = index
        self._indexes.move_to_end(version or "")
        while len(self._indexes) > self._section.max_releases:
            _, oldest = self._indexes.popitem(last=False)
            oldest.close()
            if oldest.path is not None:
                oldest.path.unlink(missing_ok=True)

    def _note_done(self, version: str | None, number: int) -> bool:
        """Note that a build is done; whether none that began later was done before."""
        if number < self._newest.get(version or "", 0):
            return False
        self._newest[version or ""] = number
        self._newest.move_to_end(version or "")
        if len(self._newest) > _REMEMBERED:
            self._newest.popitem(last=False)
        return True

    async def _searched(self, version: str | None, about: Entry, search: partial[Answer]) -> Answer:
        """What the search finds. An index that is not there, or is damaged, is built first, once."""
        fingerprint = orjson.loads(about.payload)["fingerprint"]
        for _ in range(_ATTEMPTS):
            index = self._indexes.get(version or "") or await self._known(version, fingerprint)
            if index is None:
                await self._flights.run((self.name, version), partial(self._build, version))
                continue
            try:
                answer = await trio.to_thread.run_sync(search, index, limiter=self._searchers)
            except sqlite3.Error as error:
                if not index.closed:  # else another one has taken its place meanwhile
                    log.warning("damaged index", upstream=self.name, version=version, error=str(error))
                    self._drop(version)
                continue
            if (version or "") in self._indexes:
                self._indexes.move_to_end(version or "")
            return answer
        raise UpstreamUnavailable(self.name, "its index is damaged again and again")

    def _search(self, query: Query, filters: dict[str, str], limit: int, offset: int, index: Index) -> Answer:
        return index.search(query, filters, self._section.weights, limit=limit, offset=offset)

    def _drop(self, version: str | None) -> None:
        index = self._indexes.pop(version or "", None)
        if index is None:
            return
        index.close()
        if index.path is not None:
            index.path.unlink(missing_ok=True)

    def _file(self, version: str | None) -> Path | None:
        if self._folder is None:
            return None
        name = hashlib.blake2b(f"{self.identity}{version or ''}".encode(), digest_size=12).hexdigest()
        return self._folder / f"{self.name}-{name}.search"

    def _number(self, name: str, text: str, default: int) -> int:
        if not text:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise UpstreamRejected(self.name, f"the {name} of a search is a whole number")
        return int(text)

    def _written(self, answer: Answer, query: Query) -> bytes:
        before, after = self._section.highlight
        hits = [
            {
                **found.fields,
                "title": found.title,
                "section": " > ".join(found.headings),
                "path": found.path,
                "snippet": snippet(found, self._section.snippet_length, (before, after)),
                "score": round(found.score, 3),
            }
            for found in answer.found
        ]
        return packed_json({"total": answer.total, "problem": query.problem, "hits": hits})


@asynccontextmanager
async def open_search(
    name: str, section: SearchUpstream, source: Upstream, read: Read, flights: SingleFlight[Fetched]
) -> AsyncIterator[Search]:
    """The upstream called `name`; leaving the block closes its indexes. Nothing is read before the first query.

    Raises StartError where Python's SQLite can't search.
    """
    await trio.to_thread.run_sync(require_fts5)
    search = Search(name, section, source, read, flights)
    try:
        yield search
    finally:
        search.close()


def _texts(collection: Collection) -> Iterator[tuple[Page, Text]]:
    for page, body, media_type in collection.pages:
        trio.from_thread.check_cancelled()
        yield page, text_of(body.decode("utf-8", "replace"), media_type)


def identity_of(section: SearchUpstream, source: str) -> str:
    """A short hash of what decides the answer to a query, as long as the documents stay the same.

    `source` is the identity of the upstream that is searched.
    """
    chosen = {"documents", "listing", "weights", "stop_words", "synonyms", "highlight", "snippet_length", "max_hits"}
    parts = [FORMAT, section.model_dump(mode="json", include=chosen), section.upstream, source]
    return hashlib.blake2b(orjson.dumps(parts), digest_size=8).hexdigest()
