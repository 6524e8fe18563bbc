"""From the documents that a tool has read to its answer: parsed, selected, checked, rendered, cut where it is long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import jsonschema_rs
import trio

from gateway.catalogue.definition import output_schema
from gateway.catalogue.documents import parsed
from gateway.catalogue.pages import Pager
from gateway.catalogue.records import RecordText
from gateway.catalogue.result import Form
from gateway.catalogue.select import Selection
from gateway.errors import UpstreamInvalid
from gateway.pipeline.model import Entry
from gateway.printable import printable
from gateway.profile.budget import Budget
from gateway.profile.tools import Tool as ToolSection
from gateway.telemetry.telemetry import Telemetry

_LARGE = 1_000_000
"""Bytes of documents from which on reading them alone takes several milliseconds, in which nobody else is served..."""
_LARGE_FOR_LONG = 16_000
"""...and from which on parsing Markdown or comparing documents does."""

_THREADS = trio.CapacityLimiter(2)
"""For work that takes long. They share one interpreter, so that more of them would only wait for each other."""


@dataclass(frozen=True, slots=True)
class Source:
    """A document that was read for an answer."""

    upstream: str
    entry: Entry
    release: str | None = None
    there: bool = True
    """False for an optional one that is not there, which is null."""


@dataclass(frozen=True, slots=True)
class Composed:
    """What the documents hold, and the answer made of it; None where nothing was selected."""

    document: Any
    payload: bytes | None
    selecting: float = 0.0
    """Seconds that parsing and selecting took..."""
    writing: float = 0.0
    """...and checking and writing."""


class Composer:
    """Makes the answers of one tool."""

    def __init__(self, name: str, section: ToolSection, budget: Budget | None, telemetry: Telemetry) -> None:
        result = section.result
        self._name = name
        self._selects, self._serialises = telemetry.selects.of(name), telemetry.serialises.of(name)
        self._aliases = tuple(section.documents)
        self._single = section.fetch is not None
        self._select = Selection(f"tools.{name}.result.select", result.select)
        text = RecordText(result.text, result.each) if result.text is not None else None
        self._form = Form(result.format, text)
        self.output = output_schema(section, budget)
        """The JSON Schema of structured content, as clients see it."""
        self._validator = jsonschema_rs.validator_for(self.output) if self.output is not None else None
        self.pager = Pager(name, budget, self._form, self._check) if budget is not None else None

    async def of(self, sources: Mapping[str, Source], arguments: Mapping[str, Any], key: str) -> Composed:
        """The answer to the call of that key. Raises UpstreamInvalid for documents that can't be used.

        Work that takes long is done in a thread. Cancelling leaves it to end by itself: it changes nothing.
        """
        size = sum(len(source.entry.payload) for source in sources.values())
        work = partial(self._compose, sources, arguments, key)
        if size < (_LARGE_FOR_LONG if self._select.long else _LARGE):
            composed = work()
        else:
            composed = await trio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=_THREADS)
        self._selects.record(composed.selecting)
        if composed.payload is not None:
            self._serialises.record(composed.writing)
        return composed

    def _compose(self, sources: Mapping[str, Source], arguments: Mapping[str, Any], key: str) -> Composed:
        began = perf_counter()
        read = {alias: parsed(each.upstream, each.entry) for alias, each in sources.items() if each.there}
        parts = {alias: read.get(alias) for alias in self._aliases}
        releases = {alias: source.release for alias, source in sources.items() if source.release is not None}
        document = parts["document"] if self._single else parts
        value = self._select.of(document, arguments, releases)
        selected = perf_counter()
        if value is None:
            return Composed(document, None, selected - began)
        self._check(value)
        payload = self._render(value, key)
        return Composed(document, payload, selected - began, perf_counter() - selected)

    def _render(self, value: Any, key: str) -> bytes:
        try:
            return self._form.render(value) if self.pager is None else self.pager.render(value, key)
        except ValueError as error:
            raise UpstreamInvalid(self._name, f"the answer can't be written as JSON: {error}") from error

    def _check(self, value: Any) -> None:
        if self._validator is None:
            return
        error = next(iter(self._validator.iter_errors(value)), None)
        if error is not None:
            where = ".".join(map(str, error.instance_path)) or "it"
            reason = f"the answer is not what tools.{self._name}.output declares: {where}: {error.message}"
            raise UpstreamInvalid(self._name, printable(reason, 300))
