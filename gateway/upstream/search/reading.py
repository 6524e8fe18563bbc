"""Collecting the documents of one release: which there are, each read through the pipeline, bounded together."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import jmespath
import orjson
import structlog
import trio

from gateway.errors import GatewayError, UpstreamInvalid, UpstreamNotFound, UpstreamUnavailable
from gateway.pipeline.model import Entry
from gateway.profile.units import format_duration, format_size
from gateway.profile.upstreams.search import SearchUpstream
from gateway.upstream.content import is_text
from gateway.upstream.model import Wanted
from gateway.upstream.search.pages import Page, Rule, pages

log = structlog.get_logger(__name__)

Read = Callable[[str, Wanted, bool], Awaitable[Entry]]
"""A document of an upstream, by the upstream's name; with True, a stale one will not do. Raises UpstreamError."""


@dataclass(frozen=True, slots=True)
class Collection:
    """The documents of one release: each page with its bytes and media type, ordered by path."""

    pages: tuple[tuple[Page, bytes, str], ...]
    fingerprint: str
    """Another one whenever a document, or what is known of one, is another."""
    summary: Entry | None
    """As old as the oldest document and fresh no longer than any, with the tags of all; None where none can change."""


@dataclass(slots=True)
class _Progress:
    done: int = 0
    total: int = 0

    def __str__(self) -> str:
        return f"{self.done} of {self.total} documents read" if self.total else "its documents are being listed"


class Reader:
    """Collects the documents that a search is about."""

    def __init__(self, name: str, section: SearchUpstream, read: Read) -> None:
        self._name = name
        self._section = section
        self._read = read
        self._rules = [Rule(rule) for rule in section.documents]
        self._select = jmespath.compile(section.listing.select) if section.listing is not None else None
        self._progress: dict[str | None, _Progress] = {}

    def progress(self, version: str | None) -> str:
        """How far the collecting for a release is, the one that began last, for a sentence."""
        return str(self._progress.get(version, _Progress()))

    async def collect(self, version: str | None) -> Collection:
        """Every document of a release, within `build_timeout`; raises UpstreamError.

        One that is listed and not there is left out.
        """
        limit = self._section.build_timeout
        progress = self._progress[version] = _Progress()
        try:
            with trio.fail_after(limit):
                return await self._collect(version, progress)
        except trio.TooSlowError:
            key = f"{format_duration(limit)} (upstreams.{self._name}.build_timeout)"
            message = f"its index could not be built within {key}: {progress}"
            raise UpstreamUnavailable(self._name, message) from None
        finally:
            if self._progress.get(version) is progress:
                del self._progress[version]

    async def _collect(self, version: str | None, progress: _Progress) -> Collection:
        sources: list[Entry] = []
        paths = await self._listed(version, sources) if any(rule.needs_list for rule in self._rules) else None
        wanted = pages(self._rules, paths)
        if len(wanted) > self._section.max_documents:
            limit = f"{self._section.max_documents} (upstreams.{self._name}.max_documents)"
            raise UpstreamInvalid(self._name, f"there are {len(wanted)} documents, which is more than {limit}")
        entries = await self._read_all(version, wanted, progress)
        found = [(page, entries[page.path]) for page in wanted if page.path in entries]
        if not found:
            raise UpstreamNotFound(self._name, f"there are no documents of {version or 'it'} to search in")
        sources += (entry for _, entry in found)
        digest = hashlib.blake2b(digest_size=16)
        for page, entry in found:
            digest.update(orjson.dumps([page.path, page.names, dict(page.fields), page.weight, entry.media_type]))
            digest.update(hashlib.blake2b(entry.payload, digest_size=16).digest())
        kept = tuple((page, entry.payload, entry.media_type) for page, entry in found)
        return Collection(kept, digest.hexdigest(), _summary(sources))

    async def _listed(self, version: str | None, sources: list[Entry]) -> list[str]:
        listing = self._section.listing
        if listing is None:
            wanted, upstream = Wanted("", version), self._section.upstream
        else:
            path = quote(listing.path, safe="/-._~!$&'()*+,;=:@")
            wanted = Wanted(path, version, tuple(listing.query.items()))
            upstream = listing.upstream or self._section.upstream
        entry = await self._read(upstream, wanted, True)
        sources.append(entry)
        try:
            document: Any = orjson.loads(entry.payload)
            found = (self._select or _FILES).search(document)
        except (ValueError, jmespath.exceptions.JMESPathError) as error:
            reason = str(error).partition("\n")[0]
            raise UpstreamInvalid(self._name, f"the list of documents can't be read: {reason}") from None
        if not isinstance(found, list) or not all(isinstance(path, str) for path in found):
            key = f"upstreams.{self._name}.listing.select"
            raise UpstreamInvalid(self._name, f"the list of documents has no array of paths where {key} looks for it")
        return found

    async def _read_all(self, version: str | None, wanted: list[Page], progress: _Progress) -> dict[str, Entry]:
        """The documents by path, several at once; the first failure ends the reading."""
        entries: dict[str, Entry] = {}
        failures: list[GatewayError] = []
        ahead = list(reversed(wanted))
        room = self._section.max_total_size
        progress.total = len(wanted)

        async def work() -> None:
            nonlocal room
            while ahead and not failures:
                page = ahead.pop()
                try:
                    entry = await self._read(self._section.upstream, Wanted(quote(page.path), version), True)
                except UpstreamNotFound:
                    log.debug("listed and not there", upstream=self._name, version=version, path=page.path)
                    continue
                except GatewayError as error:
                    failures.append(error)
                    return
                room -= len(entry.payload)
                if room < 0:
                    limit = f"{format_size(self._section.max_total_size)} (upstreams.{self._name}.max_total_size)"
                    failures.append(UpstreamInvalid(self._name, f"its documents are larger than {limit} together"))
                elif is_text(entry.media_type):
                    entries[page.path] = entry
                progress.done += 1

        async with trio.open_nursery() as nursery:
            for _ in range(min(self._section.readers, len(wanted))):
                nursery.start_soon(work)
        if failures:
            raise failures[0]
        return entries


_FILES = jmespath.compile("files[].path")
"""How a package and a folder list their files."""


def _summary(sources: list[Entry]) -> Entry | None:
    changing = [entry for entry in sources if not entry.immutable]
    tags = tuple(sorted({tag for entry in sources for tag in entry.tags}))
    if not changing:
        return Entry(b"", stored_at=0.0, fresh_until=float("inf"), tags=tags, immutable=True)
    return Entry(
        b"",
        stored_at=min(entry.stored_at for entry in changing),
        fresh_until=min(entry.fresh_until for entry in changing),
        stale_while_revalidate=min(entry.stale_while_revalidate for entry in changing),
        stale_if_error=min(entry.stale_if_error for entry in changing),
        tags=tags,
    )
