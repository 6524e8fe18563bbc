"""One declared tool, compiled: from arguments to documents to an answer."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
import trio

from gateway.catalogue.arguments import Arguments, canonical
from gateway.catalogue.composing import Composer, Source
from gateway.catalogue.definition import input_schema, tool_definition
from gateway.catalogue.documents import Documents, Reading, Release, parsed
from gateway.catalogue.fetch import Fetch, Got
from gateway.catalogue.select import Selection
from gateway.catalogue.template import as_text, text_template
from gateway.errors import GatewayError, ToolError, UpstreamNotFound
from gateway.pipeline.model import Entry, Policy
from gateway.printable import printable
from gateway.profile.budget import Budget
from gateway.profile.tools import Tool as ToolSection
from gateway.telemetry.telemetry import Telemetry

FORMAT = 3
"""Raised whenever the bytes of a result change, so that results of an older gateway are not served."""


_ALIKE = 70
"""How alike two names must be, of 100, for one to be suggested for the other (rapidfuzz's WRatio)."""


@dataclass(frozen=True, slots=True)
class _Nearest:
    fetch: Fetch | None
    names: Selection
    to: str
    limit: int


@dataclass(frozen=True, slots=True)
class Rendered:
    """A tool's answer before it is kept."""

    payload: bytes
    tags: tuple[str, ...]
    sources: tuple[Entry, ...]
    """What it is made of and can change."""


class Tool:
    """What a `[tools.NAME]` does. Raises ToolError where the caller is to blame, UpstreamError where an upstream is."""

    def __init__(
        self,
        name: str,
        section: ToolSection,
        policy: Policy,
        identities: Mapping[str, str],
        directives: Collection[str] = (),
        budget: Budget | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self.name = name
        self.directives = directives
        self.policy = policy
        self.cached = section.annotations.read_only
        self.arguments = Arguments(name, input_schema(section, budget), section.normalize)
        self._composer = Composer(name, section, budget, telemetry or Telemetry())
        self.pager = self._composer.pager
        self.definition = tool_definition(name, section, budget)
        at = f"tools.{name}"
        single = section.fetch is not None
        self._fetches = {
            alias: Fetch(f"{at}.fetch" if single else f"{at}.fetches.{alias}", fetch)
            for alias, fetch in section.documents.items()
        }
        self._derived = {
            value: Selection(f"{at}.derive.{value}", expression) for value, expression in section.derive.items()
        }
        self._tags = tuple(text_template(tag) for tag in section.tags)
        self._invalidates = tuple(text_template(tag) for tag in section.invalidates)
        self._missing = text_template(section.result.missing) if section.result.missing is not None else None
        self._nearest = _compile_nearest(name, section)
        self.key_prefix = f"result:{name}@{fingerprint(section, identities, budget)}"
        """How the keys of all its answers begin, as long as the declaration says the same about them."""

    def key(self, arguments: Mapping[str, Any], owner: str = "") -> str:
        """The canonical key of a call; it changes with whatever the declaration says about the answer.

        `owner` keeps the keys of one private caller apart from all others.
        """
        return f"{self.key_prefix}{owner}:{canonical(arguments)}"

    def tags(self, arguments: Mapping[str, Any]) -> tuple[str, ...]:
        """The tags that the answer to these arguments has, before it is known which release it is of."""
        return self._filled(self._with_derived(arguments))

    def invalidated(self, arguments: Mapping[str, Any]) -> list[str]:
        """The tags that a successful call with these arguments makes untrue."""
        return [tag.fill(arguments) for tag in self._invalidates]

    async def answer(
        self,
        documents: Documents,
        arguments: Mapping[str, Any],
        given: Mapping[str, Any],
        reading: Reading,
        key: str = "",
    ) -> Rendered:
        """The answer to normalised `arguments`; `given` is how the caller spelled them, for messages.

        `key` is the call's, which the cursors of a long answer are bound to.
        """
        arguments = self._with_derived(arguments)
        try:
            fetched = await self._fetch(documents, arguments, reading)
        except UpstreamNotFound:
            if self._missing is None:
                raise
            raise ToolError(await self._say_missing(documents, arguments, given, None, reading)) from None
        release = self._release_meant(fetched, arguments)
        values = arguments if release is None else {**arguments, "version": release.name}
        sources = {
            alias: Source(self._fetches[alias].upstream, got.entry, got.release_name, got.there)
            for alias, got in fetched.items()
        }
        composed = await self._composer.of(sources, values, key)
        if composed.payload is None:
            raise ToolError(await self._say_missing(documents, values, given, composed.document, reading))
        tags = {tag for got in fetched.values() for tag in got.entry.tags}
        tags.update(self._filled(values))
        listings = (got.release.listing for got in fetched.values() if got.release is not None)
        tags.update(tag for listing in listings if listing is not None for tag in listing.tags)
        changing = tuple(source for got in fetched.values() for source in got.sources)
        return Rendered(composed.payload, tuple(sorted(tags)), changing)

    def _release_meant(self, fetched: Mapping[str, Got], arguments: Mapping[str, Any]) -> Release | None:
        """What the argument `version` stands for; where there is no such argument, the first release that was read."""
        asked = (got for alias, got in fetched.items() if "version" not in arguments or self._fetches[alias].by_version)
        return next((got.release for got in asked if got.release is not None), None)

    async def _fetch(self, documents: Documents, arguments: Mapping[str, Any], reading: Reading) -> dict[str, Got]:
        """Every document that is wanted, in parallel; raises the first failure in the order of declaration."""
        if len(self._fetches) == 1:
            ((alias, fetch),) = self._fetches.items()
            only = await fetch.get(documents, arguments, reading)
            return {} if only is None else {alias: only}
        fetched: dict[str, Got] = {}
        failures: dict[str, GatewayError] = {}

        async def one(alias: str, fetch: Fetch) -> None:
            try:
                got = await fetch.get(documents, arguments, reading)
            except GatewayError as error:
                failures[alias] = error
                return
            if got is not None:
                fetched[alias] = got

        async with trio.open_nursery() as nursery:
            for alias, fetch in self._fetches.items():
                nursery.start_soon(one, alias, fetch)
        for alias in self._fetches:
            if alias in failures:
                raise failures[alias]
        return {alias: fetched[alias] for alias in self._fetches if alias in fetched}

    def _filled(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        return f"tool:{self.name}", f"strategy:{self.policy.name}", *(tag.fill(values) for tag in self._tags)

    def _with_derived(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """The arguments, and what the profile makes of them: no part of the key, since they follow from it."""
        if not self._derived:
            return arguments
        return {**arguments, **{name: each.of(arguments, arguments) for name, each in self._derived.items()}}

    async def _say_missing(
        self,
        documents: Documents,
        values: Mapping[str, Any],
        given: Mapping[str, Any],
        document: Any,
        reading: Reading,
    ) -> str:
        if self._missing is None:
            return f"{self.name} found nothing for these arguments."
        names = await self._nearest_names(documents, values, document, reading)
        nearest = f"Did you mean {' or '.join(names)}?" if names else ""
        spoken = {name: printable(as_text(given[name])) for name in values if name in given}
        return " ".join(self._missing.fill({**values, **spoken, "nearest": nearest}).split())

    async def _nearest_names(
        self, documents: Documents, values: Mapping[str, Any], document: Any, reading: Reading
    ) -> list[str]:
        nearest = self._nearest
        if nearest is None:
            return []
        try:
            if nearest.fetch is not None:
                got = await nearest.fetch.get(documents, values, replace(reading, revalidate=False))
                if got is None or not got.there:
                    return []
                document = parsed(nearest.fetch.upstream, got.entry)
            found = nearest.names.of(document, values)
        except GatewayError:  # a suggestion is a courtesy; what is missing is said without it
            return []
        from rapidfuzz import process  # only once something was not found

        names = [name for name in found if isinstance(name, str)] if isinstance(found, list) else []
        wanted = as_text(values.get(nearest.to))
        return [name for name, _, _ in process.extract(wanted, names, limit=nearest.limit, score_cutoff=_ALIKE)]


def _compile_nearest(name: str, section: ToolSection) -> _Nearest | None:
    nearest = section.result.nearest
    if nearest is None:
        return None
    key = f"tools.{name}.result.nearest"
    fetch = Fetch(f"{key}.fetch", nearest.fetch) if nearest.fetch is not None else None
    return _Nearest(fetch, Selection(f"{key}.of", nearest.of), nearest.to, nearest.max)


def fingerprint(section: ToolSection, identities: Mapping[str, str], budget: Budget | None) -> str:
    """A short hash of whatever the declaration says about the answer, and of the upstreams that it is made of."""
    about = section.model_dump(mode="json", exclude={"defaults", "title", "description", "annotations", "strategy"})
    sources = {fetch.upstream: identities[fetch.upstream] for fetch in section.documents.values()}
    text = orjson.dumps(
        [FORMAT, about, sources, budget and [budget.max_output, budget.arrays]], option=orjson.OPT_SORT_KEYS
    )
    return hashlib.blake2b(text, digest_size=6).hexdigest()
